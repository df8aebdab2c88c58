/** The same request with one setting varied: a row for each value, a column for each seed. Its rows are jobs. */

import { ended } from "./client.js";
import { describeControls, title } from "./controls.js";
import { button, element } from "./element.js";
import { plural, replaceButtons, stateOf } from "./job-card.js";
import { axisOf, sharedControls } from "./levels.js";

/** Which comparison a job belongs to, null for none. @param {import("./client.js").Job} job */
export const comparisonOf = ({ metadata }) =>
  (typeof metadata?.comparison === "string" ? metadata.comparison : null);

export class Comparison {
  /** @type {import("./job-card.js").JobCard[]} in the order of their values */
  rows = [];

  /** @param {import("./client.js").Job} job any of them @param {Object} actions as of a JobCard, for all rows at once */
  constructor(job, actions) {
    this.actions = actions;
    this.state = element("p", { className: "state" });
    this.about = element("p", { className: "hint numbers" });
    this.bar = element("progress", { max: 1, ariaLabel: "Progress of the comparison" });
    this.buttons = element("div", { className: "actions" });
    const heading = element("h2", {}, describeControls(sharedControls(job)));
    const head = element("header", {}, element("div", {}, heading, this.about), this.state);
    const seeds = job.images.map(({ seed }) => element("li", {}, String(seed)));
    this.list = element("div", { className: "rows" });
    const columns = element("ul", { className: "columns numbers", ariaHidden: "true" }, ...seeds);
    this.node = element("article", { className: "comparison", tabIndex: -1 }, head, this.bar, columns, this.list, this.buttons);
    this.node.style.setProperty("--columns", job.num_images);
  }

  /** @param {import("./job-card.js").JobCard} card */
  add(card) {
    this.rows = [...this.rows, card].sort((a, b) => (a.job.created_at < b.job.created_at ? -1 : 1));
    this.list.replaceChildren(...this.rows.map(({ node }) => node));
    this.update();
  }

  /** @param {import("./job-card.js").JobCard} card */
  remove(card) {
    this.rows = this.rows.filter((row) => row !== card);
    if (this.rows.length) this.update();
    else this.node.remove();
  }

  /** As the rows stand. */
  update() {
    if (!this.rows.length) return;
    const jobs = this.rows.map(({ job }) => job);
    const [first] = jobs;
    this.about.textContent = `${plural(first.num_images, "seed")} from ${first.seed} × ${plural(jobs.length, title(axisOf(first)).toLowerCase())}`;
    const fraction = this.rows.reduce((sum, row) => sum + row.fraction(), 0) / jobs.length;
    const over = jobs.every(ended);
    this.bar.value = fraction;
    this.bar.hidden = over;
    this.node.dataset.status = stateOf(jobs);
    this.state.textContent = words(jobs, fraction);
    if (over !== this.over) replaceButtons(this, ...this.#choices(over));
    this.over = over;
  }

  #choices(over) {
    const jobs = () => this.rows.map(({ job }) => job);
    if (!over) return [button("Cancel", () => this.rows.forEach((row) => ended(row.job) || this.actions.cancel(row)), { className: "danger" })];
    return [
      button("More like these", () => this.actions.compareOn(jobs())),
      button("Use these settings", () => this.actions.recompare(jobs())),
      button("Remove", () => this.actions.remove(...this.rows), { className: "plain", ariaLabel: "Remove from this list" }),
    ];
  }
}

/** All rows in a few words. */
function words(jobs, fraction) {
  const left = Math.max(...jobs.map(({ eta_seconds }) => eta_seconds ?? 0));
  const state = stateOf(jobs);
  if (state === "queued") return "Queued";
  if (state === "running") return [`${Math.floor(fraction * 100)} %`, left ? `about ${Math.ceil(left)} s left` : null].filter(Boolean).join(" · ");
  return { succeeded: "Finished", failed: "Failed in part", canceled: "Cancelled" }[state];
}
