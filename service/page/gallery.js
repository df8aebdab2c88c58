/** The jobs of this browser on the page: shown, followed until they end, and brought back after a reload. */

import { moveBetween } from "./arrows.js";
import { ended } from "./client.js";
import { Comparison, comparisonOf } from "./comparison.js";
import { byId } from "./element.js";
import { JobCard, plural } from "./job-card.js";
import { forget, recentIds, remember, reorder } from "./recent.js";
import { toast } from "./toast.js";

export class Gallery {
  /**
   * Every card by job id, with what stops its listening.
   * @type {Map<string, {card: JobCard, stop: () => void}>}
   */
  #jobs = new Map();
  /** Jobs of this browser that the server could not be asked for. */
  #unread = 0;
  /** @type {Map<string, Comparison>} */
  #comparisons = new Map();

  /**
   * @param {import("./job-card.js").Actions} actions
   * @param {{say: (words: string) => void, complain: (problem: Object) => void, changed: (card: JobCard) => void,
   *   keyed: () => boolean}} page `keyed`: there is an API key, so a job that is not found may be of another
   */
  constructor(actions, page) {
    Object.assign(this, { actions, page, list: byId("jobs") });
    this.list.addEventListener("keydown", moveBetween);
    byId("clear").onclick = () => {
      this.remove(...[...this.#jobs.values()].map(({ card }) => card).filter(isOver));
    };
  }

  /** A job that was just accepted: first in the list, and kept across reloads. */
  add(/** @type {import("./client.js").Job} */ job) {
    remember(job.id);
    return this.#show(job, "first");
  }

  /**
   * Bring back the jobs of an earlier visit, in their order; those the server no longer knows are forgotten. An image
   * that could not be loaded is tried again.
   * @returns {Promise<number>} how many it could not be asked for
   */
  async restore() {
    const known = recentIds().filter((id) => !this.#jobs.has(id));
    const answers = await Promise.all(known.map((id) => this.actions.client.job(id).catch((problem) => problem)));
    answers.forEach((answer, i) => {
      if (answer.status === 404) this.#forget(known[i]);
      else if (answer.urls && !this.#jobs.has(known[i])) this.#show(answer, "last");
    });
    for (const { card } of this.#jobs.values()) card.retry();
    this.#sort();
    this.#unread = answers.filter((answer) => !answer.urls && answer.status !== 404).length;
    this.#count();
    return this.#unread;
  }

  /** Off the list, until that is undone; the jobs themselves stay on the server. @param {...JobCard} cards */
  remove(...cards) {
    const order = recentIds();
    const jobs = cards.map(({ job }) => job);
    const entries = new Set(cards.map(({ node, group }) => group ?? node)).size;
    const next = cards.at(-1)?.node.closest("article")?.nextElementSibling ?? this.list;
    for (const { job } of cards) {
      this.#drop(job.id);
      forget(job.id);
    }
    (next.isConnected ? next : this.list).focus();
    toast(`Removed ${plural(entries, "entry", "entries")}.`, () => this.#putBack(jobs, order));
  }

  get isEmpty() {
    return this.#jobs.size === 0;
  }

  /** Mark the favourites. */
  mark() {
    for (const { card } of this.#jobs.values()) card.mark();
  }

  /** Show the final images in the colours of the brand, or in their own. */
  recolour() {
    for (const { card } of this.#jobs.values()) card.recolour();
  }

  /** Say again what hangs on more than the job, such as whether anybody draws it. */
  say() {
    for (const { card } of this.#jobs.values()) card.say();
  }

  async cancel(card) {
    try {
      const job = await this.actions.client.cancel(card.job);
      card.update(job);
      if (!ended(job)) return;
      this.#jobs.get(job.id)?.stop();
      this.#count();
      this.page.changed(card);
      this.page.say(milestone(card));
    } catch (problem) {
      this.page.complain(problem);
    }
  }

  /** Where they were; what came since stays first. */
  #putBack(jobs, order) {
    reorder([...recentIds().filter((id) => !order.includes(id)), ...order]);
    for (const job of jobs) this.#show(job, "first");
    this.#sort();
    this.#jobs.get(jobs[0].id)?.card.node.focus();
  }

  #show(job, place) {
    const group = this.#groupOf(job, place);
    const card = new JobCard(job, this.actions, group);
    this.#jobs.set(job.id, { card, stop: () => {} });
    if (group) group.add(card);
    else this.#place(card.node, place);
    this.#count();
    if (!ended(job)) this.#jobs.get(job.id).stop = this.#follow(card);
    return card;
  }

  #groupOf(job, place) {
    const name = comparisonOf(job);
    if (name === null) return null;
    if (!this.#comparisons.has(name)) {
      this.#comparisons.set(name, new Comparison(job, this.actions));
      this.#place(this.#comparisons.get(name).node, place);
    }
    return this.#comparisons.get(name);
  }

  #place(node, place) {
    if (place === "first") this.list.prepend(node);
    else this.list.append(node);
  }

  /** In the order that this browser remembers, also where some came back later than others. */
  #sort() {
    const nodes = recentIds().map((id) => this.#jobs.get(id)?.card).filter(Boolean).map(({ node, group }) => group?.node ?? node);
    const wanted = [...new Set(nodes)];
    if (wanted.some((node, i) => this.list.children[i] !== node)) this.list.append(...wanted);
  }

  #follow(card) {
    let said = "";
    return this.actions.client.watch(card.job, {
      slice: (event) => card.slice(event),
      change: (job) => {
        card.update(job);
        this.page.changed(card);
        this.#count();
        const words = milestone(card);
        if (words !== said) this.page.say(words);
        said = words;
      },
      connection: (state) => {
        card.say(state);
        if (state === "away") this.page.away();
      },
      gone: (problem) => { // with the right key it comes back
        this.#drop(card.job.id);
        if (problem.status === 404) this.#forget(card.job.id);
        else this.page.complain(problem);
      },
    });
  }

  #drop(id) {
    const { card, stop } = this.#jobs.get(id) ?? {};
    if (!card) return;
    stop();
    card.node.remove();
    card.group?.remove(card);
    if (card.group?.rows.length === 0) this.#comparisons.delete(comparisonOf(card.job));
    this.#jobs.delete(id);
    this.#count();
  }

  /** A job that the server does not know; one of another key stays remembered. */
  #forget(id) {
    if (!this.page.keyed()) forget(id);
  }

  #count() {
    const unread = this.#unread;
    const cards = [...this.#jobs.values()].map(({ card }) => card);
    const shown = this.list.childElementCount;
    const open = this.list.querySelectorAll(":scope > :is([data-status=queued], [data-status=running])").length;
    byId("gallery-head").hidden = shown === 0;
    byId("gallery-count").textContent = open ? `${open} under way · ` : "";
    byId("jump-count").textContent = String(shown);
    byId("clear").hidden = !cards.some(isOver);
    byId("images-count").textContent = shown || "";
    byId("empty").hidden = shown > 0 || unread > 0;
    byId("unread").hidden = unread === 0;
    byId("unread").textContent = `${plural(unread, "earlier entry", "earlier entries")} cannot be read now, and will come back by themselves.`;
    document.title = open ? `(${open}) Subscale` : "Subscale: icons and letters";
  }
}

/** Whether its entry can no longer change. @param {JobCard} card */
const isOver = ({ job, group }) => (group ? group.over : ended(job));

/** Worth telling a listener: each state, and each quarter of the way. */
function milestone(card) {
  const { status, num_images, error } = card.job;
  if (status === "running") return `Generating, ${Math.floor(card.fraction() * 4) * 25} percent`;
  if (status === "failed") return `Failed. ${error?.title ?? ""}`;
  const words = { queued: "Queued", succeeded: `Finished, ${plural(num_images, "image")}`, canceled: "Cancelled" };
  return words[status];
}
