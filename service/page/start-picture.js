/** One's own image to begin with: chosen, dropped or pasted, made as small as the model asks for, and shown so. */

import { byId, element } from "./element.js";
import { parentOf } from "./variations.js";

/** @typedef {{stage: "size" | "depth", image: string}} Start a field of POST /generate; the image is base64 */

const STAGES = ["size", "depth"];

/** The stage with which a job of an own image began, null for none. @param {import("./client.js").Job} job */
export const startStage = ({ start }) => start?.stage ?? null;

/** How many slices of a job were given, not drawn. @param {import("./client.js").Job} job */
export const givenSlices = ({ start }) => start?.slices ?? 0;

/** What a job began with, in words. @param {import("./client.js").Job} job */
export function keptWords(job) {
  const parent = parentOf(job);
  if (!parent) return { kind: "redrawn from your image", caption: "Yours, as sent", alt: "Your image, as the model got it" };
  const kind = startStage(job) === "size" ? "more like" : "refined again from";
  return { kind: `${kind} seed ${parent.seed}`, caption: "Kept", alt: `What is kept of seed ${parent.seed}` };
}

/**
 * What a job began with, read back from its first image.
 * @param {import("./client.js").Client} client @param {import("./client.js").Job} job
 * @param {Object<string, number[]>} sizes `start_sizes` of the model
 * @returns {Promise<?Start>}
 */
export async function startOf(client, job, sizes) {
  const [stage, given] = [startStage(job), givenSlices(job)];
  if (!stage) return null;
  const canvas = canvasOf(await loaded(client.pictureUrl(job.images[0].url, { slices: given })));
  const fits = (/** @type {number} */ side) => side <= Math.sqrt(given) * sizes.size[0];
  const side = stage === "size" ? Math.max(...sizes.size.filter(fits)) : canvas.width;
  return { stage, image: encoded(thinned(canvas, canvas.width / side)) };
}

export class StartPicture {
  #source = null;
  #canvas = null;

  /** @param {(problem: ?{title: string, detail: string}) => void} complain */
  constructor(complain) {
    this.complain = complain;
    this.file = byId("file");
    this.file.onchange = () => this.#read(this.file.files[0]);
    byId("start").onchange = (event) => event.target.name === "stage" && this.#show();
    const drop = byId("drop");
    for (const name of ["dragover", "dragleave", "drop"]) {
      drop.addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.toggle("over", name === "dragover");
        if (name === "drop") this.#read(event.dataTransfer.files[0]);
      });
    }
  }

  /** Which stages can begin with an image, and how large that must be. @param {Object} model of GET /models */
  offer({ width, start_sizes: sizes }) {
    this.sizes = { size: Math.max(...(sizes.size ?? [width])), depth: width };
    const offered = STAGES.filter((stage) => sizes[stage]);
    for (const stage of STAGES) {
      byId(`stage-${stage}`).disabled = !offered.includes(stage);
      byId(`stage-${stage}-size`).textContent = `from ${this.sizes[stage]} × ${this.sizes[stage]} pixels`;
    }
    if (!offered.includes(this.stage)) byId(`stage-${offered[0] ?? "size"}`).checked = true;
    this.#show();
    return offered.length > 0;
  }

  get stage() {
    return document.querySelector("[name=stage]:checked")?.value;
  }

  /** @returns {?Start} null as long as no image is chosen */
  value() {
    return this.#canvas && { stage: this.stage, image: encoded(this.#canvas) };
  }

  /** Begin as a job did. @param {Start} start */
  async take({ stage, image }) {
    byId(`stage-${stage}`).checked = true;
    this.#source = await loaded(`data:image/png;base64,${image}`);
    this.#show();
  }

  /** An image from the clipboard, if there is one. @param {ClipboardEvent} event */
  paste(event) {
    const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
    if (file) this.#read(file);
  }

  async #read(file) {
    if (!file) return;
    const url = URL.createObjectURL(file);
    try {
      this.#source = await loaded(url);
      this.complain(null);
      this.#show();
    } catch {
      this.complain({ title: "No image in that file", detail: `${file.name} cannot be read as a PNG, JPEG, WebP, GIF or SVG.` });
    }
    this.file.value = "";
  }

  /** Yours, and beside it what the model gets. */
  #show() {
    byId("stage-hint").textContent = HINTS[this.stage];
    byId("drop").classList.toggle("filled", Boolean(this.#source));
    if (!this.#source) return byId("start-preview").replaceChildren();
    this.#canvas = this.#smaller();
    const { width } = this.#canvas;
    const before = element("img", { src: this.#source.src, alt: "Your image" });
    this.#canvas.role = "img";
    this.#canvas.ariaLabel = `As the model gets it, ${width} by ${width} pixels`;
    byId("start-preview").replaceChildren(
      figure(before, "Yours"), element("span", { className: "to", ariaHidden: "true" }, "→"),
      figure(this.#canvas, `${width} × ${width}`));
  }

  /** The size stage continues every n-th pixel of a full image, so that is what it is given; not a blurred average. */
  #smaller() {
    const { size, depth } = this.sizes;
    const exact = this.#source.naturalWidth === size && this.#source.naturalHeight === size;
    if (this.stage === "depth" || exact) return fitted(this.#source, this.sizes[this.stage]);
    return thinned(fitted(this.#source, depth), depth / size);
  }
}

const HINTS = {
  size: "Keeps a few pixels of your image and generates all that lies between.",
  depth: "Keeps the shapes and rough colours of your image and generates the fine ones.",
};

const figure = (picture, caption) => element("figure", {}, picture, element("figcaption", {}, caption));

const encoded = (canvas) => canvas.toDataURL("image/png").split(",")[1];

async function loaded(/** @type {string} */ src) {
  const picture = element("img", { src });
  await picture.decode();
  return picture;
}

const square = (size) => element("canvas", { width: size, height: size });

/** An image as large as it is. */
const canvasOf = (picture) => fitted(picture, picture.naturalWidth);

/** Whole inside a white square; small pixel art keeps its edges. */
function fitted(picture, size) {
  const canvas = square(size);
  const context = canvas.getContext("2d");
  const [width, height] = [picture.naturalWidth || size, picture.naturalHeight || size];
  const scale = size / Math.max(width, height);
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  context.fillStyle = "#fff";
  context.fillRect(0, 0, size, size);
  context.imageSmoothingEnabled = scale < 1;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, Math.floor((size - w) / 2), Math.floor((size - h) / 2), w, h);
  return canvas;
}

/** The first pixel of every block. */
function thinned(canvas, block) {
  const size = canvas.width / block;
  const small = square(size);
  const [from, to] = [canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.width), new ImageData(size, size)];
  for (let i = 0; i < size * size; i++) {
    const at = ((Math.floor(i / size) * canvas.width) + (i % size)) * block * 4;
    to.data.set(from.data.subarray(at, at + 4), i * 4);
  }
  small.getContext("2d").putImageData(to, 0, 0);
  return small;
}
