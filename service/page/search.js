/** Subjects by what a person types: their names and other names first, then the topic of the word, then similar spellings. */

import { TOPICS } from "./topics.js";

/**
 * @typedef {{subjects: string[], near: boolean, topic: ?string}} Found `near`: no subject has that name, these are related;
 *   `topic`: the topic that relates them
 */

/**
 * Find subjects for a query.
 * @param {string} query
 * @param {string[]} values subjects of the model
 * @param {Object<string, string>} aliases other names, each with its subject
 * @returns {Found}
 */
export function find(query, values, aliases = {}) {
  const wanted = query.trim().toLowerCase().replace(/[\s_]+/g, "-");
  const named = byName(wanted, values, aliases);
  if (named.length || !wanted) return { subjects: named, near: false, topic: null };
  const topics = TOPICS.filter(({ name, words }) => [...words, ...name.toLowerCase().split(" ")].some((word) => related(word, wanted)));
  const inTopics = [...new Set(topics.flatMap(({ subjects }) => subjects))].filter((value) => values.includes(value));
  if (inTopics.length) return { subjects: inTopics, near: true, topic: topics[0].name };
  const similar = bySpelling(wanted, values, aliases);
  if (similar.length) return { subjects: similar, near: true, topic: null };
  const words = wanted.split("-").filter((word) => word.length > 2);
  const parts = words.length > 1 ? words.map((word) => find(word, values, aliases)) : [];
  return { subjects: [...new Set(parts.flatMap(({ subjects }) => subjects))], near: true, topic: null };
}

/** Best first: the name itself, a name that begins so, a word in a name that begins so, a part of a name. */
function byName(wanted, values, aliases) {
  const rank = (name) => {
    if (name === wanted) return 0;
    if (name.startsWith(wanted)) return 1;
    if (name.includes(`-${wanted}`)) return 2;
    return wanted.length > 2 && name.includes(wanted) ? 3 : Infinity;
  };
  const ranks = new Map(values.map((value) => [value, rank(value.toLowerCase())]));
  for (const [alias, value] of Object.entries(aliases)) ranks.set(value, Math.min(ranks.get(value), rank(alias) + 0.5));
  const best = Math.min(...ranks.values());
  const single = wanted.length === 1 && best < 1;
  return values.filter((value) => (single ? ranks.get(value) === best : ranks.get(value) < Infinity))
    .sort((a, b) => ranks.get(a) - ranks.get(b));
}

/** "baker" leads to the words of "bakery", and "bakeries" too. */
const related = (word, wanted) => wanted.length > 2 && (word.startsWith(wanted)
  || (word.length > 3 && wanted.startsWith(word.slice(0, -1))));

function bySpelling(wanted, values, aliases) {
  const most = wanted.length < 4 ? 0 : wanted.length < 7 ? 1 : 2;
  const names = [...values.map((value) => [value, value]), ...Object.entries(aliases)];
  const near = names.map(([name, value]) => ({ value, far: distance(name.toLowerCase(), wanted) })).filter(({ far }) => far <= most);
  return [...new Set(near.sort((a, b) => a.far - b.far).map(({ value }) => value))];
}

/** Insertions, deletions and replacements of characters between two words (Levenshtein). */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + (a[i] === b[j] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}
