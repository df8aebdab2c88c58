/** A job on the page: its state in words, progress, pictures, and what can be done with it. */

import { ended } from "./client.js";
import { describeControls } from "./controls.js";
import { button, element } from "./element.js";
import { Tile } from "./tile.js";

/**
 * What a card asks of the page.
 * @typedef {{client: import("./client.js").Client, slicesOf: (job: Object) => ?number,
 *   open: (card: JobCard, index: number) => void, cancel: (card: JobCard) => void,
 *   again: (job: Object) => void, reuse: (job: Object) => void,
 *   copyCurl: (job: Object, from: HTMLElement) => void, copyJavaScript: (job: Object, from: HTMLElement) => void,
 *   remove: (card: JobCard) => void}} Actions
 */

export class JobCard {
  /** @param {import("./client.js").Job} job @param {Actions} actions */
  constructor(job, actions) {
    this.actions = actions;
    this.total = actions.slicesOf(job);
    this.stages = new Map();
    this.tiles = job.images.map((image) => new Tile(actions.client, () => actions.open(this, image.index)));
    this.#build(job);
    this.update(job);
  }

  #build(job) {
    this.state = element("p", { className: "state" });
    this.bar = element("progress", { max: 1, ariaLabel: "Progress of the job" });
    this.problem = element("div", { className: "problem", hidden: true });
    this.buttons = element("div", { className: "actions" });
    const about = `${plural(job.num_images, "picture")} · seed ${job.seed} · temperature ${job.temperature}`;
    const heading = element("h2", {}, describeControls(job.controls));
    const subtitle = element("p", { className: "hint numbers" }, about);
    const head = element("header", {}, element("div", {}, heading, subtitle), this.state);
    const grid = element("ul", { className: "tiles" }, ...this.tiles.map((tile) => tile.node));
    const parts = [head, this.bar, this.problem, grid, this.buttons];
    this.node = element("article", { className: "job", tabIndex: -1 }, ...parts);
    this.node.dataset.count = job.num_images;
  }

  /** @param {import("./client.js").SliceEvent} event says what a poll does not: the stage of one picture */
  slice({ index, stage, slices_total }) {
    this.stages.set(index, stage);
    this.total = slices_total;
  }

  /** @param {import("./client.js").Job} job */
  update(job) {
    const changed = this.job?.status !== job.status;
    this.job = job;
    this.node.dataset.status = job.status;
    this.bar.value = this.fraction();
    this.bar.hidden = ended(job);
    this.say();
    for (const image of job.images) this.#tile(image);
    if (changed) this.#settle();
  }

  /** How far the whole job is, 0 to 1: the further of the server's word and the slices seen. */
  fraction() {
    const { progress, images, num_images } = this.job;
    const slices = images.reduce((sum, image) => sum + image.slices_done, 0);
    return Math.max(progress?.fraction ?? 0, slices / (this.slicesEach() * num_images));
  }

  /** Slices of one finished picture. */
  slicesEach() {
    const { progress, num_images, images } = this.job;
    const told = this.total ?? (progress?.slices_total ?? 0) / num_images;
    const final = images.find((image) => image.final)?.slices_done;
    return final ?? Math.max(told, ...images.map((image) => image.slices_done), 1);
  }

  /** @param {"live" | "polling" | "away"} [connection] */
  say(connection = this.connection) {
    this.connection = connection;
    const away = connection === "away" && !ended(this.job);
    this.state.textContent = away ? "Connection lost, trying again" : stateWords(this.job, this.fraction());
    this.node.classList.toggle("away", away);
  }

  #tile(image) {
    const { status } = this.job;
    const stage = this.stages.get(image.index);
    const count = `${image.slices_done}/${this.slicesEach()}`;
    const none = status === "running" ? "waiting" : status;
    const words = image.slices_done ? [stage, count].filter(Boolean).join(" ") : none;
    this.tiles[image.index].update(image, { total: this.slicesEach(), words, live: status === "running" });
  }

  #settle() {
    const { job, actions } = this;
    this.problem.hidden = !job.error;
    if (job.error) this.problem.replaceChildren(...problemParts(job.error));
    this.buttons.replaceChildren(...this.#choices(job, actions));
  }

  #choices(job, actions) {
    const copies = [
      button("Copy curl", (event) => actions.copyCurl(this.job, event.currentTarget)),
      button("Copy JavaScript", (event) => actions.copyJavaScript(this.job, event.currentTarget)),
    ];
    if (!ended(job)) return [button("Cancel", () => actions.cancel(this), { className: "danger" }), ...copies];
    return [
      button("Again with next seed", () => actions.again(this.job)),
      button("Use these settings", () => actions.reuse(this.job)),
      ...copies,
      button("Remove", () => actions.remove(this), { className: "plain", ariaLabel: "Remove from this list" }),
    ];
  }
}

/** Title, detail and field errors of a problem. @param {{title: string, detail?: string, errors?: Object[]}} problem */
export function problemParts({ title, detail, errors = [] }) {
  const fields = errors.map(({ field, message }) => element("li", {}, element("code", {}, field), ` ${message}`));
  return [
    element("strong", {}, title),
    ...(detail ? [element("p", {}, detail)] : []),
    ...(fields.length ? [element("ul", {}, ...fields)] : []),
  ];
}

/** A job's state as a person says it. */
function stateWords({ status, queue_position, eta_seconds, progress, started_at, finished_at, images }, fraction) {
  const eta = Number.isFinite(eta_seconds) ? `about ${duration(eta_seconds)} left` : null;
  const position = Number.isFinite(queue_position) ? `position ${queue_position}` : "waiting for a worker";
  const ready = images.filter((image) => image.final).length;
  const words = {
    queued: ["Queued", position, eta],
    running: [`${Math.floor(fraction * 100)} %`, progress?.stage, eta],
    succeeded: ["Finished", took(started_at, finished_at)],
    failed: ["Failed"],
    canceled: ["Cancelled", `${ready} of ${images.length} finished`],
  };
  return words[status].filter(Boolean).join(" · ");
}

const took = (from, to) => (from && to ? duration((Date.parse(to) - Date.parse(from)) / 1000) : null);

function duration(/** @type {number} */ seconds) {
  if (seconds < 10) return `${Math.max(seconds, 0.1).toFixed(1)} s`;
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

export const plural = (/** @type {number} */ count, /** @type {string} */ noun) =>
  `${count} ${noun}${count === 1 ? "" : "s"}`;
