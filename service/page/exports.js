/** A final image as files: its vector form in the colours chosen here, as SVG, as PNG of some sizes, as icons of a site. */

import { byId, element } from "./element.js";

const PNG_SIZES = [64, 512, 1024];
const PARTS = ["ground", "glyph"];

const TRACED = "This image has no separate tile and symbol. Its colours stay as they are.";
const REVOKE_MILLISECONDS = 60_000;
const UNREACHABLE = "The colours cannot be read now.";

export class Exports {
  /** Colours chosen instead of an image's own; kept from one image to the next. @type {{ground?: string, glyph?: string}} */
  #chosen = {};

  /** @param {import("./client.js").Client} client @param {(url: string) => void} preview shows the vector form */
  constructor(client, preview) {
    Object.assign(this, { client, preview });
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
    this.#offer({}, "");
    this.#readColours(picture);
  }

  /** Set the pickers to the chosen colours, or else to the image's own; offer those of the parts that it has. */
  async #readColours(picture) {
    const svg = await this.client.file(this.#image({ format: "svg" })).then((file) => file.text(), () => null);
    if (picture !== this.picture) return;
    const colours = svg === null ? {} : coloursOf(svg);
    const none = Object.keys(colours).length === 0;
    this.#offer(colours, none ? (svg === null ? UNREACHABLE : TRACED) : "");
    if (Object.keys(this.#recoloured()).length > 0) this.#show();
  }

  #offer(colours, words) {
    this.own = colours;
    byId("colours").hidden = Object.keys(colours).length === 0;
    byId("colours-hint").textContent = words;
    for (const part of PARTS) {
      byId(`${part}-colour`).closest("label").hidden = !colours[part];
      if (colours[part]) byId(`${part}-colour`).value = this.#chosen[part] ?? colours[part];
    }
    this.#links();
  }

  #choose(part) {
    this.#chosen[part] = byId(`${part}-colour`).value;
    this.#changed();
  }

  #reset() {
    this.#chosen = {};
    for (const [part, colour] of Object.entries(this.own)) byId(`${part}-colour`).value = colour;
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

  /** The chosen colours of the parts that this image has. */
  #recoloured() {
    return Object.fromEntries(Object.entries(this.#chosen).filter(([part]) => this.own[part]));
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
    const archive = (options) => this.client.exportUrl(this.job, { ...options, ...colours });
    const all = this.job.images.length > 1 ? [this.#link("All images, ZIP", archive({ set: "sizes" }), `${name}-all.zip`)] : [];
    byId("own-colours").hidden = Object.keys(this.#recoloured()).length === 0;
    byId("download-links").replaceChildren(
      this.#link("SVG, any size", this.#image({ format: "svg", ...colours }), `${name}.svg`),
      ...PNG_SIZES.map((size) => this.#link(`PNG ${size} px`, this.#image({ format: "png", size, ...colours }), `${name}-${size}.png`)),
      this.#link("Web icons", archive({ set: "web", index: this.picture.index }), `${name}-web.zip`),
      ...all,
      this.#link("Pixels as generated", this.#image({ format: "png" }), `${name}-pixels.png`),
    );
  }

  #link(text, href, download) {
    return element("a", { className: "button", href, download, onclick: (event) => this.#download(event, href, download) }, text);
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
    const href = URL.createObjectURL(file);
    element("a", { href, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(href), REVOKE_MILLISECONDS);
    say("");
  }
}

/** The colour of each part that a vector form has; of a gradient, where it begins. */
function coloursOf(/** @type {string} */ svg) {
  const document = new DOMParser().parseFromString(svg, "image/svg+xml");
  const colour = (part) => (document.getElementById(`${part}-paint`)?.firstElementChild.getAttribute("stop-color")
    ?? document.getElementById(part)?.firstElementChild.getAttribute("fill"));
  return Object.fromEntries(PARTS.map((part) => [part, colour(part)]).filter(([, value]) => value));
}

const fileName = (picture) =>
  [...Object.values(picture.controls ?? {}).filter(Boolean), picture.seed].join("-").replace(/[^\w-]+/g, "_");
