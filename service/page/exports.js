/** A final image as files: its vector form in the colours chosen here, as SVG, as PNG of some sizes, as icons of a site. */

import { button, byId, element } from "./element.js";
import { fileName, save } from "./files.js";
import { coloursOf, fitting, onWhite, recoloured, vectorOf } from "./vector.js";

const PNG_SIZES = [64, 512, 1024];
const PARTS = ["ground", "glyph"];

const TRACED = "This image has no separate tile and symbol. Its colours stay as they are.";
const UNREACHABLE = "The colours cannot be read now.";

export class Exports {
  /** Colours chosen instead of an image's own; kept from one image to the next. @type {{ground?: string, glyph?: string}} */
  #chosen = {};
  /** The brand's colours for the parts of this image. @type {import("./brand.js").Colours} */
  #brand = {};

  /**
   * @param {import("./job-card.js").Actions} actions
   * @param {(url: string) => void} preview shows the vector form
   */
  constructor({ client, brand, downloadAll }, preview) {
    Object.assign(this, { client, brand, downloadAll, preview });
    for (const part of PARTS) byId(`${part}-colour`).oninput = () => this.#choose(part);
    byId("own-colours").onclick = () => this.#reset();
    byId("transparent").onchange = () => this.#changed();
  }

  /** @param {import("./client.js").Job} job @param {import("./client.js").Picture} picture not yet final: nothing is offered */
  open(job, picture) {
    Object.assign(this, { job, picture });
    byId("exports").hidden = !picture.final;
    byId("download-hint").textContent = "";
    if (!picture.final) return;
    this.#brand = {};
    this.#offer({}, "");
    this.reading = this.#readColours(picture);
  }

  /** The drawing in the chosen colours. @returns {Promise<string>} */
  async svg() {
    await this.reading;
    return recoloured(await vectorOf(this.client, this.picture), this.#recoloured());
  }

  /** Set the pickers to the chosen colours, or else to the image's own; offer those of the parts that it has. */
  async #readColours(picture) {
    const svg = await vectorOf(this.client, picture).catch(() => null);
    if (picture !== this.picture) return;
    const colours = svg === null ? {} : coloursOf(svg);
    const none = Object.keys(colours).length === 0;
    this.#brand = svg === null ? {} : fitting(svg, this.brand.colours);
    this.#offer(colours, none ? (svg === null ? UNREACHABLE : TRACED) : "");
    if (Object.keys(this.#recoloured()).length > 0) this.#show();
  }

  #offer(colours, words) {
    this.own = colours;
    byId("colours").hidden = Object.keys(colours).length === 0;
    byId("colours-hint").textContent = words;
    for (const part of PARTS) {
      byId(`${part}-colour`).closest("label").hidden = !colours[part];
      if (colours[part]) byId(`${part}-colour`).value = this.#recoloured()[part] ?? colours[part];
    }
    this.#links();
  }

  #choose(part) {
    this.#chosen[part] = byId(`${part}-colour`).value;
    this.#changed();
  }

  #reset() {
    this.#chosen = {};
    for (const [part, colour] of Object.entries(this.own)) byId(`${part}-colour`).value = this.#brand[part] ?? colour;
    byId(`${Object.keys(this.own)[0]}-colour`).focus();
    this.#changed();
  }

  #changed() {
    this.#links();
    this.#show();
  }

  #show() {
    this.preview(this.#image({ format: "svg", ...this.#colours() }));
  }

  /** What is chosen here, else the brand's colours, of the parts that this image has. */
  #recoloured() {
    return Object.fromEntries(Object.entries({ ...this.#brand, ...this.#chosen }).filter(([part]) => this.own[part]));
  }

  #colours() {
    return { background: byId("transparent").checked ? "transparent" : "white", ...this.#recoloured() };
  }

  #image(options) {
    return this.client.pictureUrl(this.picture.url, { slices: null, ...options });
  }

  #links() {
    const colours = this.#colours();
    const name = fileName(this.picture);
    const icons = this.client.exportUrl(this.job, { set: "web", index: this.picture.index, ...colours });
    byId("own-colours").hidden = Object.keys(this.#chosen).length === 0;
    byId("download-links").replaceChildren(
      this.#link("SVG, any size", this.#image({ format: "svg", ...colours }), `${name}.svg`),
      ...PNG_SIZES.map((size) => this.#link(`PNG ${size} px`, this.#image({ format: "png", size, ...colours }), `${name}-${size}.png`)),
      this.#link("Web icons", icons, `${name}-web.zip`),
      ...(this.job.images.length > 1 ? [button("All images, ZIP", () => this.#downloadAll())] : []),
      this.#link("Pixels as generated", this.#image({ format: "png" }), `${name}-pixels.png`),
    );
  }

  #link(text, href, download) {
    return element("a", { className: "button", href, download, onclick: (event) => this.#download(event, href, download) }, text);
  }

  /** Each image in the chosen colours, or in the brand's, of the parts that it has itself. */
  async #downloadAll() {
    byId("download-hint").textContent = "The archive is being made.";
    const coloured = (svg) => recoloured(svg, { ...fitting(svg, this.brand.colours), ...this.#chosen });
    await this.downloadAll(this.job, byId("transparent").checked ? coloured : (svg) => onWhite(coloured(svg)));
    byId("download-hint").textContent = "";
  }

  /** Fetch the file, so that a refusal is shown here and not as a page of its own. With a modifier key the browser loads it. */
  async #download(event, url, name) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const { picture } = this;
    const say = (words) => {
      if (this.picture.url === picture.url) byId("download-hint").textContent = words;
    };
    say(`${name} is being made.`);
    const file = await this.client.file(url).catch((problem) => problem);
    if (!(file instanceof Blob)) return say(`${name} was not downloaded. ${file.detail || file.title}`);
    save(file, name);
    say("");
  }
}
