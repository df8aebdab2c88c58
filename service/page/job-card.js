/** A job on the page: its state in words, progress, images, and what can be done with it. */

import { ended } from "./client.js";
import { describeControls, plain, title } from "./controls.js";
import { button, element } from "./element.js";
import { favouriteId } from "./favourite-store.js";
import { axisOf, levelOf } from "./levels.js";
import { givenSlices, keptWords, startStage } from "./start-picture.js";
import { Tile } from "./tile.js";

/**
 * What a card asks of the page.
 * @typedef {{client: import("./client.js").Client, slicesOf: (job: Object) => ?number,
 *   open: (card: JobCard, index: number) => void, cancel: (card: JobCard) => void,
 *   again: (job: Object) => void, reuse: (job: Object) => void, keep: (job: Object, index: number) => void,
 *   isKept: (id: string) => boolean, brand: import("./brand.js").Brand,
 *   downloadAll: (job: Object) => void,
 *   remove: (...cards: JobCard[]) => void, repeat: (job: Object) => void}} Actions
 */

/** The largest that a tile is shown, by the number of images of its job. */
const TILE_PIXELS = { 1: 384, 2: 256, 3: 256 };
const SMALL_PIXELS = 192;

/** Image requests of one job while it runs, apart from one final image each: all slices of one image, a few of sixteen. */
const PARTIAL_IMAGES = 64;

export class JobCard {
  /** @param {import("./client.js").Job} job @param {Actions} actions @param {?import("./comparison.js").Comparison} group */
  constructor(job, actions, group = null) {
    Object.assign(this, { actions, group });
    this.total = actions.slicesOf(job);
    this.stages = new Map();
    const pixels = group ? SMALL_PIXELS : TILE_PIXELS[job.num_images] ?? SMALL_PIXELS;
    this.tiles = job.images.map(({ index }) => new Tile(actions.client, {
      pixels, versions: Math.max(2, Math.floor(PARTIAL_IMAGES / job.num_images)),
      brand: actions.brand, open: () => actions.open(this, index), keep: () => actions.keep(this.job, index), settled: () => this.say(),
    }));
    this.#build(job);
    this.update(job);
  }

  #build(job) {
    this.state = element("p", { className: "state" });
    this.bar = element("progress", { max: 1, ariaLabel: "Progress of the job" });
    this.problem = element("div", { className: "problem", hidden: true });
    this.buttons = element("div", { className: "actions" });
    const grid = element("ul", { className: "tiles" }, ...this.tiles.map((tile) => tile.node));
    const parts = this.group ? [this.#levelHead(job), grid, this.problem]
      : [this.#head(job), this.bar, this.problem, grid, this.buttons];
    this.node = element(this.group ? "section" : "article", { className: this.group ? "level" : "job", tabIndex: -1 }, ...parts);
    this.node.dataset.count = job.num_images + (startStage(job) ? 1 : 0);
    if (startStage(job)) grid.prepend(this.#before(keptWords(job)));
  }

  #head(job) {
    const about = [plural(job.num_images, "image"), startStage(job) ? keptWords(job).kind : null];
    return element("header", {}, element("div", {}, element("h2", {}, describeControls(job.controls)),
      element("p", { className: "hint numbers" }, about.filter(Boolean).join(" · "))), this.state);
  }

  #levelHead(job) {
    const words = plain(String(levelOf(job)));
    return element("header", {}, element("h3", { ariaLabel: `${title(axisOf(job))} ${words}` }, words), this.state);
  }

  /** The caller's own image as the model got it, or what a variation keeps. */
  #before({ caption, alt }) {
    this.given = element("img", { alt, draggable: false });
    return element("li", { className: "before" }, element("span", { className: "tile" }, element("span", { className: "stack" }, this.given)),
      element("span", { className: "caption" }, element("span", {}, caption)));
  }

  /** @param {import("./client.js").SliceEvent} event says what a poll does not: the stage of one image */
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
    if (this.given && !this.given.src && job.images[0].url) this.given.src = this.#givenUrl();
    if (changed) this.#settle();
    this.group?.update();
  }

  /** How many slices of each image the caller gave. */
  givenEach() {
    return givenSlices(this.job);
  }

  #givenUrl() {
    return this.actions.client.pictureUrl(this.job.images[0].url, { slices: this.givenEach(), scale: 8 });
  }

  /** How far the whole job is, 0 to 1. */
  fraction() {
    return this.job.progress?.fraction ?? 0;
  }

  /** Slices of one finished image. */
  slicesEach() {
    const { images } = this.job;
    const total = this.total ?? images[0].slices_total;
    const final = images.find((image) => image.final)?.slices_done;
    return final ?? Math.max(total, ...images.map((image) => image.slices_done), 1);
  }

  /** @param {"live" | "polling" | "away"} [connection] */
  say(connection = this.connection) {
    this.connection = connection;
    const away = connection === "away" && !ended(this.job);
    const drawn = this.actions.drawn(this.job.model);
    const loading = this.job.status === "succeeded" && !this.tiles.every((tile) => tile.settled);
    const words = loading ? ["Loading images"] : stateWords(this.job, this.fraction(), drawn);
    this.state.textContent = away ? "Connection lost, trying again" : (this.group ? words.slice(0, ended(this.job) ? 1 : 2) : words).join(" · ");
    this.node.classList.toggle("away", away);
  }

  #tile(image) {
    const { status } = this.job;
    const stage = this.stages.get(image.index);
    const count = `${image.slices_done}/${this.slicesEach()}`;
    const none = { running: "waiting", canceled: "not generated", failed: "not generated" }[status] ?? status;
    const words = image.slices_done > this.givenEach() ? [stage, count].filter(Boolean).join(" ") : none;
    const name = Array.isArray(this.job.controls) ? describeControls({ label: image.controls.label }) : "";
    this.tiles[image.index].update(image, { total: this.slicesEach(), words, live: status === "running", name });
  }

  /** Which images are favourites. */
  mark() {
    this.tiles.forEach((tile, index) => tile.mark(this.actions.isKept(favouriteId(this.job, index))));
  }

  /** Show the final images in the colours of the brand, if those are on. */
  recolour() {
    this.tiles.forEach((tile) => tile.recolour());
  }

  /** Load again what could not be loaded. */
  retry() {
    this.tiles.forEach((tile) => tile.retry());
  }

  #settle() {
    const { job, actions } = this;
    this.problem.hidden = !job.error;
    if (job.error) this.problem.replaceChildren(...problemParts(job.error));
    this.mark();
    if (ended(job) || !this.buttons.childElementCount) replaceButtons(this, ...this.#choices(job, actions));
  }

  #choices(job, actions) {
    if (!ended(job)) return [button("Cancel", () => actions.cancel(this), { className: "danger" })];
    const unfinished = job.status !== "succeeded";
    const several = job.num_images > 1 && job.images.some(({ final }) => final);
    return [
      unfinished ? button("Try again", () => actions.repeat(this.job)) : button("More like these", () => actions.again(this.job)),
      button("Use these settings", () => actions.reuse(this.job)),
      ...(several ? [button("Download all", () => actions.downloadAll(this.job))] : []),
      button("Remove", () => actions.remove(this), { className: "plain", ariaLabel: "Remove from this list" }),
    ];
  }
}

/** Put other buttons below an entry, which gets the focus that one of the old had. @param {{node: HTMLElement, buttons: HTMLElement}} entry */
export function replaceButtons({ node, buttons }, ...others) {
  const focused = buttons.contains(document.activeElement);
  buttons.replaceChildren(...others);
  if (focused) node.focus();
}

/** Some code is loaded when it is needed. */
export const NOT_LOADED = { title: "Not possible now", detail: "A part of this page cannot be loaded from the server." };

/** Title, detail and field errors of a problem. @param {{title: string, detail?: string, errors?: Object[]}} problem */
export function problemParts({ title, detail, errors }) {
  const fields = (errors ?? []).map(({ field, message }) => element("li", {}, element("code", {}, field), ` ${message}`));
  return [
    element("strong", {}, title),
    ...(detail ? [element("p", {}, detail)] : []),
    ...(fields.length ? [element("ul", {}, ...fields)] : []),
  ];
}

/** A job's state as a person says it, in parts, the most telling first. */
function stateWords({ status, queue_position, eta_seconds, progress, started_at, finished_at, images }, fraction, drawn) {
  const eta = Number.isFinite(eta_seconds) ? `about ${duration(eta_seconds)} left` : null;
  const position = Number.isFinite(queue_position) ? `number ${queue_position} in line` : null;
  const ready = images.filter((image) => image.final).length;
  const words = {
    queued: ["Queued", position, drawn ? eta : "waiting for a worker"],
    running: [`${Math.floor(fraction * 100)} %`, progress?.stage, eta],
    succeeded: ["Finished", took(started_at, finished_at)],
    failed: ["Failed", ready ? `${ready} of ${images.length} finished` : null],
    canceled: ["Cancelled", `${ready} of ${images.length} finished`],
  };
  return words[status].filter(Boolean);
}

/** What several jobs are together. @param {import("./client.js").Job[]} jobs @returns {import("./client.js").Status} */
export function stateOf(jobs) {
  const states = jobs.map(({ status }) => status);
  if (states.every((state) => state === states[0])) return states[0];
  return jobs.every(ended) ? states.find((state) => state !== "succeeded") : "running";
}

const took = (from, to) => (from && to ? duration((Date.parse(to) - Date.parse(from)) / 1000) : null);

function duration(/** @type {number} */ seconds) {
  if (seconds < 10) return `${Math.max(seconds, 0.1).toFixed(1)} s`;
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

export const plural = (/** @type {number} */ count, /** @type {string} */ noun, several = `${noun}s`) =>
  `${count} ${count === 1 ? noun : several}`;
