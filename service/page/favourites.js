/** The favourites view: images that this browser keeps, with names; copied, dragged, compared and downloaded as a set. */

import { describeControls } from "./controls.js";
import { button, byId, element } from "./element.js";
import { favouriteId, FavouriteStore } from "./favourite-store.js";
import { copyImage, copySvg, dragOut, FILE_PIXELS, plainName, save } from "./files.js";
import { plural } from "./job-card.js";
import { requestOfPicture } from "./snippets.js";
import { toast } from "./toast.js";
import { branded, pixelsOf, pngOf, urlOf, vectorOf } from "./vector.js";

export class Favourites {
  #store = new FavouriteStore();
  /** @type {import("./favourite-store.js").Favourite[]} the newest first */
  #kept = [];
  /** Object URLs of what is shown and dragged. @type {string[]} */
  #urls = [];
  /** The vector forms that are still to come. @type {Promise<unknown>} */
  #drawing = Promise.resolve();

  /**
   * @param {import("./client.js").Client} client @param {import("./brand.js").Brand} brand
   * @param {{changed: () => void, repeat: (request: Object) => void, complain: (problem: Object) => void,
   *   say: (words: string) => void}} page
   */
  constructor(client, brand, page) {
    Object.assign(this, { client, brand, page });
    byId("download-favourites").onclick = () => this.#download();
    byId("line-up-favourites").onclick = async () => {
      const { showLineUp } = await import("./line-up.js");
      showLineUp(this.#kept.map((each) => ({ name: each.name, src: this.#shown(each) })));
    };
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
      this.#drawing = Promise.all([this.#drawing, this.#draw(favourite, job.images[index])]);
    } catch {
      this.page.complain({ title: "Not kept", detail: "The image cannot be read from the server, or this browser keeps no data." });
    }
  }

  /** Show all of them, in the colours of the brand. */
  show() {
    this.#urls.forEach(URL.revokeObjectURL);
    this.#urls = [];
    byId("favourites-count").textContent = this.#kept.length || "";
    byId("favourites-list").replaceChildren(...this.#kept.map((each) => this.#card(each)));
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
    this.#kept = [favourite, ...this.#kept].sort((a, b) => b.saved - a.saved);
    this.show();
  }

  async #remove(favourite) {
    await this.#store.remove(favourite.id);
    this.#kept = this.#kept.filter((each) => each !== favourite);
    this.show();
    toast(`“${favourite.name}” is no longer a favourite.`, () => this.#keep(favourite));
  }

  async #rename(favourite, name) {
    favourite.name = name.trim() || describeControls(favourite.controls);
    await this.#store.put(favourite);
    this.show();
  }

  #card(favourite) {
    const { name } = favourite;
    const image = element("img", { src: this.#shown(favourite), alt: name, draggable: true, title: "Drag it into another program" });
    this.#png(favourite, FILE_PIXELS).then((png) => {
      const url = this.#url(png);
      image.ondragstart = (event) => dragOut(event, { name: plainName(name), url });
    });
    const title = element("input", { value: name, ariaLabel: `Name of ${name}`, maxLength: 60, onchange: () => this.#rename(favourite, title.value) });
    const heart = button("", () => this.#remove(favourite), { className: "heart", ariaPressed: "true", ariaLabel: `Remove ${name}`, title: "Remove" });
    return element("li", { className: "favourite" }, element("div", { className: "shown" }, image), heart, title, element("div", { className: "actions" },
      button("Copy image", ({ currentTarget }) => this.page.copied(currentTarget, copyImage(this.#png(favourite, FILE_PIXELS)))),
      ...(favourite.svg ? [button("Copy SVG", ({ currentTarget }) => this.page.copied(currentTarget, copySvg(this.#svg(favourite))))] : []),
      button("More", () => this.page.repeat(favourite.request), { title: "Four more of the same subject and look" })));
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
    save(await archiveOf(images, this.brand.colours), "favourites.zip");
    this.page.say(`Downloaded ${plural(images.length, "favourite")}.`);
  }
}
