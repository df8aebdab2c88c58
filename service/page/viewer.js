/** One image enlarged: kept, copied, recoloured, downloaded, varied; its slices, and the request that makes it again. */

import { describeControls } from "./controls.js";
import { button, byId, element } from "./element.js";
import { favouriteId } from "./favourite-store.js";
import { copyImage, copySvg, FILE_PIXELS } from "./files.js";
import { plural } from "./job-card.js";
import { scaleFor } from "./tile.js";
import { temperatureWords } from "./snippets.js";
import { keptWords } from "./start-picture.js";
import { offerVariations } from "./variations.js";
import { pngOf } from "./vector.js";

const LARGE_PIXELS = 512;
const FRAME_MILLISECONDS = 260;

export class Viewer {
  #frames = new Map();

  /** @param {{client: Object, copyCurl: Function, copyJavaScript: Function}} actions */
  constructor(actions) {
    this.actions = actions;
    this.dialog = byId("viewer");
    this.frame = byId("viewer-frame");
    this.range = byId("viewer-slice");
    this.range.oninput = () => this.#still() ?? this.#draw();
    byId("viewer-play").onclick = () => (this.timer ? this.#still() : this.#play());
    byId("viewer-back").onclick = () => this.#step(-1);
    byId("viewer-on").onclick = () => this.#step(+1);
    byId("viewer-previous").onclick = () => this.#turn(-1);
    byId("viewer-next").onclick = () => this.#turn(+1);
    byId("viewer-keep").onclick = () => actions.keep(this.card.job, this.index);
    byId("copy-image").onclick = ({ currentTarget }) => actions.copied(currentTarget, copyImage(this.#png()));
    byId("copy-svg").onclick = ({ currentTarget }) => actions.copied(currentTarget, copySvg(this.#svg()));
    byId("why-ask").onclick = () => this.#why();
    byId("viewer-close").onclick = () => this.dialog.close();
    this.dialog.onclose = () => this.#close();
    this.dialog.onclick = ({ target }) => {
      if (target === this.dialog) this.dialog.close();
    };
    this.dialog.onkeydown = (event) => this.#key(event);
  }

  /** @param {import("./job-card.js").JobCard} card @param {number} index */
  open(card, index) {
    this.#still();
    Object.assign(this, { card, index });
    this.#frames.clear();
    const picture = this.#picture();
    const shown = card.tiles[index].stack.lastElementChild?.cloneNode();
    this.frame.replaceChildren(...(shown ? [shown] : []));
    this.range.min = Math.max(1, card.givenEach());
    this.range.max = picture.slices_done;
    this.range.value = picture.slices_done;
    this.#describe(card.job, picture);
    this.#draw();
    this.#offerExports();
    byId("why-answer").replaceChildren();
    if (!this.dialog.open) this.dialog.showModal();
  }

  /** The job moved on: an image shown at its latest slice follows. @param {import("./job-card.js").JobCard} card */
  follow(card) {
    if (!this.dialog.open || card !== this.card) return;
    const { slices_done, final } = this.#picture();
    this.#neighbours();
    const ended = final !== this.final;
    if (ended) {
      this.#describe(card.job, this.#picture());
      this.#offerExports();
    }
    const latest = this.range.value === this.range.max;
    if (slices_done === Number(this.range.max) || slices_done === 0) return;
    this.range.max = slices_done;
    if (latest) this.range.value = slices_done;
    this.#draw();
  }

  /** Whether the image is a favourite. */
  mark() {
    if (!this.card) return;
    const kept = this.actions.isKept(favouriteId(this.card.job, this.index));
    byId("viewer-keep").ariaPressed = String(kept);
    byId("viewer-keep").textContent = kept ? "♥ Favourite" : "♡ Favourite";
  }

  /** The vector form in the chosen colours, else the pixels. @returns {Promise<Blob>} */
  async #png() {
    try {
      return await pngOf(await this.#svg(), FILE_PIXELS);
    } catch {
      const url = this.actions.client.pictureUrl(this.#picture().url, { slices: null, scale: 8 });
      return fetch(url).then((response) => response.blob());
    }
  }

  /** Colours and downloads; their code is loaded with the first image that is opened. */
  #exports() {
    return (this.exports ??= import("./exports.js").then(({ Exports }) =>
      new Exports(this.actions, (url) => this.#showVector(url))));
  }

  #offerExports() {
    const [{ job }, picture] = [this.card, this.#picture()];
    this.#exports().then((exports) => exports.open(job, picture), () => (this.exports = null));
  }

  #svg() {
    return this.#exports().then((exports) => exports.svg());
  }

  async #why() {
    const place = element("div");
    byId("why-answer").replaceChildren(place);
    const { card, index } = this;
    const { explain } = await import("./why.js").catch(() => ({ explain: () => place.append("This cannot be loaded now.") }));
    explain(place, this.actions.client, card.job, index);
  }

  #picture() {
    return this.card.job.images[this.index];
  }

  #draw() {
    this.vector = null;
    this.frame.classList.remove("clear");
    const slices = Number(this.range.value);
    this.#show(slices);
    this.range.style.setProperty("--at", (slices - this.range.min) / Math.max(this.range.max - this.range.min, 1));
    const total = this.card.slicesEach();
    const at = `${slices} of ${total}`;
    this.range.ariaValueText = `slice ${at}, ${stageOf(slices, total)}`;
    byId("viewer-slice-value").textContent = at;
    const yours = slices === this.card.givenEach() ? keptWords(this.card.job).caption : "";
    byId("viewer-stage").textContent = yours;
    for (const band of byId("viewer-stages").children) band.classList.toggle("now", band.textContent === stageOf(slices, total));
  }

  /** The latest that was asked for, once it is decoded; its neighbours are fetched meanwhile, so that scrubbing is smooth. */
  async #show(slices) {
    const frame = this.#frame(slices);
    const loaded = await frame.decode().then(() => true, () => false);
    if (Number(this.range.value) !== slices || this.#frames.get(slices) !== frame) return;
    if (!loaded) return this.#missing(slices);
    if (this.vector) return;
    frame.alt = `${describeControls(this.#picture().controls)}, after ${plural(slices, "slice")}`;
    this.frame.replaceChildren(frame);
    for (const near of [slices + 1, slices - 1]) if (near >= this.range.min && near <= this.range.max) this.#frame(near);
  }

  /** Show the vector form until the user selects a slice. If several are requested in a row, show the latest. */
  async #showVector(url) {
    this.#still();
    this.vector = url;
    const image = element("img", { src: url, alt: `${describeControls(this.#picture().controls)}, as it is downloaded` });
    const loaded = await image.decode().then(() => true, () => false);
    if (this.vector !== url) return;
    if (!loaded) return this.#missing(Number(this.range.value));
    this.frame.classList.add("clear");
    this.frame.replaceChildren(image);
  }

  /** Say why there is no image: the job has expired, or the server cannot be reached. */
  async #missing(slices) {
    this.#frames.delete(slices);
    const expired = await this.actions.client.job(this.card.job).then(() => false, ({ status }) => status === 404);
    const words = expired
      ? "This image has expired. “Use these settings” generates it again."
      : "This image cannot be loaded now.";
    if (Number(this.range.value) === slices) this.frame.replaceChildren(element("p", { className: "hint", role: "status" }, words));
  }

  #frame(slices) {
    if (!this.#frames.has(slices)) {
      const picture = this.#picture();
      const src = this.actions.client.pictureUrl(picture.url, { slices, scale: scaleFor(picture, LARGE_PIXELS) });
      this.#frames.set(slices, element("img", { src }));
    }
    return this.#frames.get(slices);
  }

  #describe(job, picture) {
    byId("viewer-title").textContent = describeControls(picture.controls ?? job.controls);
    byId("viewer-about").textContent = `Image ${this.index + 1} of ${job.images.length}`;
    byId("viewer-use").hidden = byId("why").hidden = !picture.final;
    this.mark();
    const size = `${picture.width} × ${picture.height}`;
    const facts = {
      Seed: picture.seed, Temperature: temperatureWords(job.temperature), Guidance: job.guidance, Candidates: picture.candidates,
      ...(Number.isFinite(picture.score) ? { "Reads as its label": `${Math.round(picture.score * 100)} %` } : {}),
      Model: `${job.model}, ${size}`,
      ...(job.expires_at ? { "Kept until": moment(job.expires_at) } : {}),
    };
    byId("viewer-stages").replaceChildren(...this.#bands());
    byId("viewer-facts").replaceChildren(...Object.entries(facts).map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, String(value)))));
    byId("viewer-actions").replaceChildren(...this.#actions(job));
    this.final = picture.final;
    offerVariations(picture.final ? this.actions.startSizesOf(job) : {}, (stage) => {
      this.dialog.close();
      this.actions.vary(job, this.index, stage);
    });
    this.#neighbours();
  }

  /** Under the slider, where its stages lie. */
  #bands() {
    const total = this.card.slicesEach();
    const first = Math.max(1, this.card.givenEach());
    const steps = Array.from({ length: total - first + 1 }, (_, i) => stageOf(first + i, total));
    return [...new Set(steps)].map((stage) => {
      const band = element("span", {}, stage);
      band.style.flexGrow = steps.filter((step) => step === stage).length;
      return band;
    });
  }

  #neighbours() {
    byId("viewer-previous").disabled = !this.#neighbour(-1);
    byId("viewer-next").disabled = !this.#neighbour(+1);
  }

  #actions(job) {
    const { copyCurl, copyJavaScript } = this.actions;
    return [
      button("Copy curl", (event) => copyCurl(job, event.currentTarget, this.index)),
      button("Copy JavaScript", (event) => copyJavaScript(job, event.currentTarget, this.index)),
    ];
  }

  #neighbour(by) {
    const picture = this.card.job.images[this.index + by];
    return picture?.slices_done > 0 ? picture : null;
  }

  #turn(by) {
    if (this.#neighbour(by)) this.open(this.card, this.index + by);
  }

  #step(by) {
    this.#still();
    this.range.value = Number(this.range.value) + by;
    this.#draw();
  }

  #play() {
    this.range.value = this.range.min;
    this.#draw();
    byId("viewer-play").textContent = "Pause";
    this.timer = setInterval(() => {
      this.range.value = Number(this.range.value) + 1;
      this.#draw();
      if (this.range.value === this.range.max) this.#still();
    }, FRAME_MILLISECONDS);
  }

  /** Stop playing. */
  #still() {
    clearInterval(this.timer);
    this.timer = null;
    byId("viewer-play").textContent = "Play";
  }

  #close() {
    this.#still();
    this.card?.tiles[this.index]?.button.focus();
  }

  /** Arrows lead to the next image, on the slider to the next slice; a button keeps its space bar. */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const slider = event.target === this.range;
    const move = slider ? this.#step : this.#turn;
    const act = event.target.matches("input:not([type=range], [type=checkbox])") ? null : {
      PageUp: () => this.#turn(-1), PageDown: () => this.#turn(1),
      ArrowLeft: () => move.call(this, -1), ArrowRight: () => move.call(this, 1),
      " ": slider ? () => byId("viewer-play").click() : null,
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

const moment = (time) => new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

/** Half of the slices are coarse, the first of them the base; the other half adds depth. */
function stageOf(/** @type {number} */ slices, /** @type {number} */ total) {
  if (slices <= 1) return "base";
  return slices <= total / 2 ? "size" : "depth";
}
