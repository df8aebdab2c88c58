/** One image of a job on the page: each sharper version is swapped in once it is decoded, never blank between. */

import { element } from "./element.js";
import { dragOut, FILE_PIXELS, fileName } from "./files.js";
import { fitting, recoloured, urlOf, vectorOf } from "./vector.js";

const LARGEST_SCALE = 8;
const RETRIES = 3;
const RETRY_SECONDS = 1.5;

/**
 * The server's scale that more than fills `pixels` on this screen: made smaller, all pixels of an image stay the same
 * size, which made larger they would not.
 * @param {{width: number}} image
 */
export const scaleFor = (image, pixels) =>
  Math.min(LARGEST_SCALE, Math.max(1, Math.ceil((pixels * devicePixelRatio) / image.width)));

/** How surely an image reads as its label, empty where nobody can tell. @param {{score: ?number}} image */
export const scoreWords = ({ score }) => (Number.isFinite(score) ? `Reads as its label: ${Math.round(score * 100)} %` : "");

export class Tile {
  #shown = -1;
  #wanted = null;
  #loading = false;
  #next = 0;

  /**
   * @param {import("./client.js").Client} client
   * @param {{pixels: number, versions: number, brand: import("./brand.js").Brand, open: () => void, keep: () => void,
   *   settled: () => void}} tile `pixels`: the largest size at which it is shown; `versions`: how many partial images it
   *   loads; `open`: the action of a click, `keep`: of its heart; `settled`: called when the final image is shown or cannot be
   */
  constructor(client, { pixels, versions, brand, open, keep, settled }) {
    Object.assign(this, { client, pixels, versions, brand, whenSettled: settled, settled: false });
    this.stack = element("span", { className: "stack" });
    this.bar = element("span", { className: "bar" });
    this.seed = element("span", { className: "seed" });
    this.stage = element("span", { className: "at" });
    this.button = element("button", { type: "button", className: "tile", disabled: true, onclick: open, ondragstart: (event) => this.#drag(event) },
      this.stack, this.bar);
    this.heart = element("button", { type: "button", className: "heart", hidden: true, ariaPressed: "false", onclick: keep });
    this.node = element("li", {}, this.button, this.heart,
      element("span", { className: "caption", ariaHidden: "true" }, this.seed, this.stage));
  }

  /**
   * @param {import("./client.js").Picture} image
   * @param {{total: number, words: string, live: boolean, name: string}} state `total` slices of a finished image; `name`:
   *   what it shows, where its job has several subjects
   */
  update(image, { total, words, live, name }) {
    this.image = image;
    const portion = image.final ? 1 : image.slices_done / Math.max(total, 1);
    this.button.disabled = !image.url || image.slices_done === 0;
    const state = image.final ? "finished" : words;
    const act = this.button.disabled ? "" : ". Enlarge";
    this.button.ariaLabel = `Image ${image.index + 1}, ${name || `seed ${image.seed}`}, ${state}${act}`;
    this.heart.hidden = !image.final;
    this.heart.ariaLabel = `Favourite: image ${image.index + 1}, ${name || `seed ${image.seed}`}`;
    this.bar.style.setProperty("--done", portion.toFixed(4));
    this.node.classList.toggle("live", live && !image.final);
    this.seed.textContent = name || String(image.seed);
    this.button.title = scoreWords(image);
    this.stage.textContent = image.final ? "" : words;
    if (image.slices_done > 0 && image.url) this.#show(image, total);
    else this.#clear();
  }

  /** Load the final image again, if it could not be loaded. */
  retry() {
    if (!this.settled || this.#shown === this.image.slices_done) return;
    this.settled = false;
    this.stage.textContent = "";
    this.#wanted = this.image;
    if (!this.#loading) this.#load();
  }

  /** Whether it is a favourite. @param {boolean} kept */
  mark(kept) {
    this.heart.ariaPressed = String(kept);
  }

  /** Show the final image in the colours of the brand, or again as it was generated. */
  async recolour() {
    if (!this.image?.final || !this.settled) return;
    const { colours } = this.brand;
    const svg = this.brand.on ? await vectorOf(this.client, this.image).catch(() => null) : null;
    if (colours.ground !== this.brand.colours.ground || colours.glyph !== this.brand.colours.glyph) return;
    this.colours = svg ? fitting(svg, colours) : {};
    const src = svg ? urlOf(recoloured(svg, this.colours)) : this.#url(this.image, this.image.slices_done);
    const shown = this.stack.lastElementChild;
    if (shown && shown.src !== src) shown.src = src;
  }

  #drag(event) {
    if (!this.image?.final) return event.preventDefault();
    const { url } = this.image;
    const options = { slices: null, size: FILE_PIXELS, background: "transparent", ...this.colours };
    dragOut(event, { name: fileName(this.image), url: this.client.pictureUrl(url, options) });
  }

  #url(image, slices) {
    return this.client.pictureUrl(image.url, { slices, scale: scaleFor(image, this.pixels) });
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
      const { slices_done: slices } = image;
      const picture = element("img", { alt: "", decoding: "async", draggable: false });
      picture.src = this.#url(image, slices);
      const loaded = await picture.decode().then(() => true, () => false);
      if (loaded) this.#swap(picture, slices);
      else if (++failures <= RETRIES) {
        await new Promise((resume) => setTimeout(resume, RETRY_SECONDS * 1000));
        this.#wanted ??= image;
        continue;
      } else this.stage.textContent = "not available";
      if (image.final) {
        this.settled = true;
        this.button.draggable = loaded;
        this.whenSettled();
        if (this.brand.on) this.recolour();
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
