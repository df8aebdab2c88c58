/** The favourites view: images that this browser keeps, with names; copied, dragged, compared and downloaded as a set. */

import { describeControls } from "./controls.js";
import { button, byId, element } from "./element.js";
import { favouriteId, FavouriteStore } from "./favourite-store.js";
import { copyImage, copySvg, dragOut, FILE_PIXELS, plainName, save } from "./files.js";
import { NOT_LOADED, plural } from "./job-card.js";
import { requestOfPicture } from "./snippets.js";
import { toast } from "./toast.js";
import { branded, pixelsOf, pngOf, urlOf, vectorOf } from "./vector.js";

export class Favourites {
  #store = new FavouriteStore();
  /** @type {import("./favourite-store.js").Favourite[]} the newest first */
  #kept = [];
  /** Object URLs of what is shown and dragged. @type {string[]} */
  #urls = [];
  /** @type {Map<import("./favourite-store.js").Favourite, {node: HTMLElement, update: () => void}>} */
  #cards = new Map();
  /** The vector forms that are still to come. @type {Promise<unknown>} */
  #drawing = Promise.resolve();

  /**
   * @param {import("./client.js").Client} client @param {import("./brand.js").Brand} brand
   * @param {{changed: () => void, repeat: (request: Object) => void, complain: (problem: Object) => void,
   *   say: (words: string) => void}} page
   */
  constructor(client, brand, page) {
    Object.assign(this, { client, brand, page });
    byId("download-favourites").onclick = () => this.#download().catch(() => page.complain(NOT_LOADED));
    byId("line-up-favourites").onclick = () => import("./line-up.js").then(({ showLineUp }) =>
      showLineUp(this.#kept.map((each) => ({ name: each.name, src: this.#shown(each) })))).catch(() => page.complain(NOT_LOADED));
  }

  /** Read what is kept. */
  async load() {
    try {
      this.#kept = await this.#store.all();
    } catch {
      byId("no-favourites").textContent = "This browser keeps no data for this page, so favourites are not available.";
    }
    this.show();
  }

  /** @param {string} id */
  has(id) {
    return this.#kept.some((each) => each.id === id);
  }

  /** Keep an image of a job, or no longer. @param {import("./client.js").Job} job @param {number} index */
  async toggle(job, index) {
    const kept = this.#kept.find(({ id }) => id === favouriteId(job, index));
    if (kept) return this.#remove(kept);
    try {
      const favourite = await this.#favouriteOf(job, index);
      await this.#keep(favourite);
      this.page.say("Kept in Favourites.");
      this.#drawing = Promise.allSettled([this.#drawing, this.#draw(favourite, job.images[index])]);
    } catch {
      this.page.complain({ title: "Not kept", detail: "The image cannot be read from the server, or this browser keeps no data." });
    }
  }

  /** Show all of them, in the colours of the brand. */
  show() {
    this.#urls.forEach(URL.revokeObjectURL);
    this.#urls = [];
    byId("favourites-count").textContent = this.#kept.length || "";
    for (const [favourite, { node }] of this.#cards) if (!this.#kept.includes(favourite)) node.remove();
    this.#cards = new Map(this.#kept.map((each) => [each, this.#cards.get(each) ?? this.#card(each)]));
    const list = byId("favourites-list");
    [...this.#cards.values()].forEach(({ node, update }, i) => {
      update();
      if (list.children[i] !== node) list.insertBefore(node, list.children[i] ?? null); // others are not moved: they keep the focus
    });
    byId("favourites-head").hidden = this.#kept.length === 0;
    byId("no-favourites").hidden = this.#kept.length > 0;
    this.page.changed();
  }

  async #favouriteOf(job, index) {
    const image = job.images[index];
    const controls = image.controls ?? {};
    return {
      id: favouriteId(job, index), name: describeControls(controls), saved: Date.now(), controls, seed: image.seed,
      request: requestOfPicture(job, index), png: await pixelsOf(this.client, image), svg: null,
    };
  }

  /** Add the vector form, which takes the server longer. */
  async #draw(favourite, image) {
    favourite.svg = await vectorOf(this.client, image).catch(() => null);
    if (!favourite.svg || !this.#kept.includes(favourite)) return;
    await this.#store.put(favourite);
    this.show();
  }

  async #keep(favourite) {
    await this.#store.put(favourite);
    this.#kept = [favourite, ...this.#kept.filter(({ id }) => id !== favourite.id)].sort((a, b) => b.saved - a.saved);
    this.show();
  }

  async #remove(favourite) {
    await this.#store.remove(favourite.id);
    const node = this.#cards.get(favourite)?.node;
    const next = node?.contains(document.activeElement) && (node.nextElementSibling ?? node.previousElementSibling);
    this.#kept = this.#kept.filter((each) => each !== favourite);
    this.show();
    if (next) next.querySelector(".heart").focus();
    toast(`“${favourite.name}” is no longer a favourite.`, () => this.#keep(favourite));
  }

  async #rename(favourite, name) {
    favourite.name = name.trim() || describeControls(favourite.controls);
    await this.#store.put(favourite);
    this.show();
  }

  #card(favourite) {
    const image = element("img", { draggable: true, title: "Drag it into another program" });
    const heart = button("", () => this.#remove(favourite), { className: "heart", ariaPressed: "true", title: "Remove" });
    const title = element("input", { maxLength: 60, onchange: () => this.#rename(favourite, title.value) });
    const svg = button("Copy SVG", ({ currentTarget }) => this.page.copied(currentTarget, copySvg(this.#svg(favourite))));
    const node = element("li", { className: "favourite" }, element("div", { className: "shown" }, image), heart, title, element("div", { className: "actions" },
      button("Copy image", ({ currentTarget }) => this.page.copied(currentTarget, copyImage(this.#png(favourite, FILE_PIXELS)))), svg,
      button("More", () => this.page.repeat(favourite.request), { title: "Four more of the same subject and look" })));
    const update = () => {
      const { name } = favourite;
      Object.assign(image, { src: this.#shown(favourite), alt: name });
      heart.ariaLabel = `Remove ${name}`;
      title.ariaLabel = `Name of ${name}`;
      if (title !== document.activeElement) title.value = name;
      svg.hidden = !favourite.svg;
      this.#png(favourite, FILE_PIXELS).then((png) => {
        const url = this.#url(png);
        image.ondragstart = (event) => dragOut(event, { name: plainName(name), url });
      });
    };
    return { node, update };
  }

  #shown(favourite) {
    if (favourite.svg && this.brand.on) return urlOf(branded(favourite.svg, this.brand.colours));
    return this.#url(favourite.png);
  }

  #svg({ svg }) {
    return Promise.resolve(branded(svg, this.brand.colours));
  }

  async #png(favourite, size) {
    return favourite.svg ? pngOf(await this.#svg(favourite), size) : favourite.png;
  }

  #url(blob) {
    const url = URL.createObjectURL(blob);
    this.#urls.push(url);
    return url;
  }

  async #download() {
    const [{ archiveOf }] = await Promise.all([import("./image-set.js"), this.#drawing]);
    const images = this.#kept.map(({ name, svg, png }) => ({ name: plainName(name), svg, png }));
    save(await archiveOf(images, (svg) => branded(svg, this.brand.colours)), "favourites.zip");
    this.page.say(`Downloaded ${plural(images.length, "favourite")}.`);
  }
}
