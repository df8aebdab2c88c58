/** The chooser of the label: search, letters, and all other subjects by topic. */

import { element } from "./element.js";
import { find } from "./search.js";
import { TOPICS } from "./topics.js";

/**
 * @param {string[]} values @param {Object<string, string>} aliases
 * @param {(value: string, text: string) => HTMLElement} option a radio button of the chooser
 * @returns {HTMLElement[]} the search field, what was found, and the options
 */
export function subjectFields(values, aliases, option) {
  const box = element("div", { className: "subjects", tabIndex: -1 }, ...groupsOf(values).map(({ name, subjects, letters }) =>
    element("section", { ariaLabel: name }, element("h3", {}, name),
      element("div", { className: letters ? "keys" : "chips" }, ...subjects.map((value) => option(value, plain(value)))))));
  const input = element("input", {
    type: "search", id: "subject-search", placeholder: "Search: bakery, travel, K …", ariaLabel: "Search subjects",
    autocomplete: "off", spellcheck: false, maxLength: 40,
  });
  const note = element("p", { className: "hint", id: "subject-note", role: "status" });
  let found = [];
  input.oninput = () => {
    const result = find(input.value, values, aliases);
    found = result.subjects;
    show(box, note, input.value.trim(), result);
  };
  input.onkeydown = (event) => {
    if (!["Enter", "ArrowDown"].includes(event.key) || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (event.key === "ArrowDown") box.querySelector(".option:not([hidden]) input")?.focus();
    else if (found.length && input.value) box.querySelector(`input[value="${found[0]}"]`).click();
  };
  return [input, note, box];
}

/** Empty the search, so that all subjects are shown, and scroll to the chosen one. @param {HTMLElement} form */
export function showChosen(form) {
  const input = form.querySelector("#subject-search");
  if (!input) return;
  if (input.value) {
    input.value = "";
    input.oninput();
  }
  const box = form.querySelector(".subjects");
  const chosen = box.querySelector("input:checked")?.parentElement;
  if (chosen) box.scrollTop += chosen.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 2;
}

/** A topic lists a subject once, where it comes first; what has no topic comes last. */
function groupsOf(values) {
  const letters = values.filter((value) => value.length === 1);
  const rest = new Set(values.filter((value) => value.length > 1));
  const groups = TOPICS.map(({ name, subjects }) => ({ name, subjects: subjects.filter((value) => rest.delete(value)) }));
  const all = [{ name: "Letters and digits", subjects: letters, letters: true }, ...groups, { name: "More", subjects: [...rest] }];
  return all.filter(({ subjects }) => subjects.length);
}

/** Of the options, those that were found; all of them without a query. */
function show(box, note, query, { subjects, near, topic }) {
  const searching = query !== "";
  for (const node of box.querySelectorAll(".option")) {
    node.hidden = searching && !subjects.includes(node.querySelector("input").value);
  }
  for (const group of box.children) group.hidden = !group.querySelector(".option:not([hidden])");
  box.classList.toggle("found", searching);
  box.scrollTop = 0;
  note.textContent = searching ? words(query, subjects, near, topic) : "";
}

function words(query, subjects, near, topic) {
  if (!subjects.length) return `Nothing is like “${query}”. Try one word for a thing, such as coffee or key.`;
  if (!near) return "";
  return topic ? `No subject is called “${query}”. Near it, from ${topic}:` : `No subject is called “${query}”. Did you mean:`;
}

const plain = (/** @type {string} */ value) => value.replaceAll("-", " ");
