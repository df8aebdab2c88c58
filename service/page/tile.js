/** One picture of a job on the page: each sharper version is swapped in once it is decoded, never blank between. */

import { element } from "./element.js";

const LARGEST_SCALE = 8;
const RETRIES = 3;
const RETRY_SECONDS = 1.5;

/**
 * The server's scale that more than fills `pixels` on this screen: made smaller, all pixels of a picture stay the same
 * size, which made larger they would not.
 * @param {{width: number}} image
 */
export const scaleFor = (image, pixels) =>
  Math.min(LARGEST_SCALE, Math.max(1, Math.ceil((pixels * devicePixelRatio) / image.width)));

/** How surely a picture reads as its label, empty where nobody can tell. @param {{score: ?number}} image */
export const scoreWords = ({ score }) => (Number.isFinite(score) ? `Reads as its label: ${Math.round(score * 100)} %` : "");

export class Tile {
  #shown = -1;
  #wanted = null;
  #loading = false;
  #next = 0;

  /**
   * @param {import("./client.js").Client} client
   * @param {{pixels: number, versions: number, open: () => void, settled: () => void}} tile `pixels`: the largest size at
   *   which it is shown; `versions`: how many partial images it loads; `open`: the action of a click; `settled`: called when
   *   the final image is shown or cannot be
   */
  constructor(client, { pixels, versions, open, settled }) {
    Object.assign(this, { client, pixels, versions, whenSettled: settled, settled: false });
    this.stack = element("span", { className: "stack" });
    this.bar = element("span", { className: "bar" });
    this.seed = element("span", { className: "seed" });
    this.stage = element("span", { className: "at" });
    this.button = element("button", { type: "button", className: "tile", disabled: true, onclick: open },
      this.stack, this.bar);
    this.node = element("li", {}, this.button,
      element("span", { className: "caption", ariaHidden: "true" }, this.seed, this.stage));
  }

  /**
   * @param {import("./client.js").Picture} image
   * @param {{total: number, words: string, live: boolean}} state `total` slices of a finished picture
   */
  update(image, { total, words, live }) {
    const portion = image.final ? 1 : image.slices_done / Math.max(total, 1);
    this.button.disabled = !image.url || image.slices_done === 0;
    const state = image.final ? "finished" : words;
    const act = this.button.disabled ? "" : ". Enlarge";
    this.button.ariaLabel = `Picture ${image.index + 1}, seed ${image.seed}, ${state}${act}`;
    this.bar.style.setProperty("--done", portion.toFixed(4));
    this.node.classList.toggle("live", live && !image.final);
    this.seed.textContent = String(image.seed);
    this.button.title = scoreWords(image);
    this.stage.textContent = image.final ? "" : words;
    if (image.slices_done > 0 && image.url) this.#show(image, total);
    else this.#clear();
  }

  /** The final image always; of the partial ones no more than `versions`, evenly spaced. */
  #show(image, total) {
    if (image.slices_done === this.#shown || (this.settled && image.final)) return;
    if (!image.final && image.slices_done < this.#next) return;
    this.#next = image.slices_done + total / this.versions;
    this.#wanted = image;
    if (!this.#loading) this.#load();
  }

  async #load() {
    this.#loading = true;
    for (let failures = 0; this.#wanted; ) {
      const image = this.#wanted;
      this.#wanted = null;
      const { url, slices_done: slices } = image;
      const picture = element("img", { alt: "", decoding: "async", draggable: false });
      picture.src = this.client.pictureUrl(url, { slices, scale: scaleFor(image, this.pixels) });
      const loaded = await picture.decode().then(() => true, () => false);
      if (loaded) this.#swap(picture, slices);
      else if (++failures <= RETRIES) {
        await new Promise((resume) => setTimeout(resume, RETRY_SECONDS * 1000));
        this.#wanted ??= image;
        continue;
      } else this.stage.textContent = "not available";
      if (image.final) {
        this.settled = true;
        this.whenSettled();
      }
    }
    this.#loading = false;
  }

  #swap(picture, slices) {
    const older = [...this.stack.children];
    this.#shown = slices;
    this.stack.append(picture);
    const drop = () => older.forEach((old) => old.remove());
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (calm || older.length === 0) drop();
    else picture.animate({ opacity: [0, 1] }, { duration: 220, easing: "ease-out" }).finished.then(drop, drop);
  }

  #clear() {
    this.#shown = -1;
    this.#next = 0;
    this.#wanted = null;
    this.settled = false;
    this.stack.replaceChildren();
  }
}
