/** A final image as files: its vector form in the colours chosen here, as SVG, as PNG of some sizes, as icons of a site. */

import { byId, element } from "./element.js";

const PNG_SIZES = [64, 512, 1024];
const PARTS = ["ground", "glyph"];

const TRACED = "This image has no separate tile and symbol. Its colours stay as they are.";
const UNREACHABLE = "The colours cannot be read now.";

export class Exports {
  /** Colours chosen instead of the image's own. @type {{ground?: string, glyph?: string}} */
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
    this.#chosen = {};
    byId("exports").hidden = !picture.final;
    byId("own-colours").hidden = true;
    if (!picture.final) return;
    this.#links();
    this.#readColours(picture);
  }

  /** Set the pickers to the image's own colours; offer those of the parts that it has. */
  async #readColours(picture) {
    this.#offer({}, "");
    const svg = await fetch(this.#image({ format: "svg" }))
      .then((response) => (response.ok ? response.text() : null)).catch(() => null);
    if (picture !== this.picture) return;
    const colours = svg === null ? {} : coloursOf(svg);
    const none = Object.keys(colours).length === 0;
    this.#offer(colours, none ? (svg === null ? UNREACHABLE : TRACED) : "");
  }

  #offer(colours, words) {
    this.own = colours;
    byId("colours").hidden = Object.keys(colours).length === 0;
    byId("colours-hint").textContent = words;
    for (const part of PARTS) {
      byId(`${part}-colour`).closest("label").hidden = !colours[part];
      if (colours[part]) byId(`${part}-colour`).value = colours[part];
    }
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
    byId("own-colours").hidden = Object.keys(this.#chosen).length === 0;
    this.#links();
    this.preview(this.#image({ format: "svg", ...this.#colours() }));
  }

  #colours() {
    return { background: byId("transparent").checked ? "transparent" : "white", ...this.#chosen };
  }

  #image(options) {
    return this.client.pictureUrl(this.picture.url, { slices: null, ...options });
  }

  #links() {
    const colours = this.#colours();
    const name = fileName(this.picture);
    const several = this.job.images.length > 1;
    byId("download-links").replaceChildren(
      link("SVG, any size", this.#image({ format: "svg", ...colours }), `${name}.svg`),
      ...PNG_SIZES.map((size) => link(`PNG ${size} px`, this.#image({ format: "png", size, ...colours }), `${name}-${size}.png`)),
      link(several ? "Web icons, all images" : "Web icons", this.client.exportUrl(this.job, { set: "web", ...colours }), `${name}-web.zip`),
      link("Pixels as generated", this.#image({ format: "png" }), `${name}-pixels.png`),
    );
  }
}

const link = (text, href, download) => element("a", { className: "button", href, download }, text);

/** The colour of each part that a vector form has; of a gradient, where it begins. */
function coloursOf(/** @type {string} */ svg) {
  const document = new DOMParser().parseFromString(svg, "image/svg+xml");
  const colour = (part) => (document.getElementById(`${part}-paint`)?.firstElementChild.getAttribute("stop-color")
    ?? document.getElementById(part)?.firstElementChild.getAttribute("fill"));
  return Object.fromEntries(PARTS.map((part) => [part, colour(part)]).filter(([, value]) => value));
}

const fileName = (picture) =>
  [...Object.values(picture.controls ?? {}).filter(Boolean), picture.seed].join("-").replace(/[^\w-]+/g, "_");
