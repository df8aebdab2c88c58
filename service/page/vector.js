/** The vector form of a final image: fetched once, recoloured and turned into files in the browser. */

import { element } from "./element.js";

const PARTS = ["ground", "glyph"];
/** @type {Map<string, Promise<string>>} by URL */
const fetched = new Map();

/**
 * The SVG of a final image on a transparent background.
 * @param {import("./client.js").Client} client @param {import("./client.js").Picture} image
 * @returns {Promise<string>} rejected if the server cannot make it now
 */
export function vectorOf(client, image) {
  const url = client.pictureUrl(image.url, { slices: null, format: "svg", background: "transparent" });
  if (!fetched.has(url)) {
    const svg = client.file(url).then((file) => file.text());
    svg.catch(() => fetched.delete(url));
    fetched.set(url, svg);
  }
  return fetched.get(url);
}

/** The pixels of an image as generated, a PNG. @param {import("./client.js").Client} client @param {import("./client.js").Picture} image */
export const pixelsOf = (client, image) => client.file(client.pictureUrl(image.url, { slices: null }));

/** The colours of tile and symbol, where they are parts of their own; of a gradient, where it begins. */
export function coloursOf(/** @type {string} */ svg) {
  const drawing = parsed(svg);
  const colour = (part) => (drawing.getElementById(`${part}-paint`)?.firstElementChild.getAttribute("stop-color")
    ?? drawing.getElementById(part)?.querySelector("[fill]")?.getAttribute("fill"));
  return Object.fromEntries(PARTS.map((part) => [part, colour(part)]).filter(([, value]) => value));
}

/**
 * A brand's colours for the parts that a drawing has: a symbol without a tile gets the colour of tiles.
 * @param {string} svg @param {import("./brand.js").Colours} brand @returns {import("./brand.js").Colours}
 */
export function fitting(svg, brand) {
  const own = coloursOf(svg);
  if (!own.glyph || !brand.ground) return {};
  return own.ground ? brand : { glyph: brand.ground };
}

/** The drawing in a brand's colours. @param {string} svg @param {import("./brand.js").Colours} brand */
export const branded = (svg, brand) => recoloured(svg, fitting(svg, brand));

/** The same drawing in other colours. @param {string} svg @param {import("./brand.js").Colours} colours of parts that it has */
export function recoloured(svg, colours) {
  if (!PARTS.some((part) => colours[part])) return svg;
  const drawing = parsed(svg);
  for (const part of PARTS.filter((name) => colours[name])) {
    for (const shape of drawing.querySelectorAll(`#${part} [fill]`)) shape.setAttribute("fill", colours[part]);
    drawing.getElementById(`${part}-paint`)?.remove();
  }
  return new XMLSerializer().serializeToString(drawing);
}

/** The drawing on white. @param {string} svg */
export const onWhite = (svg) => svg.replace(/<svg[^>]*>/, '$&<rect id="background" width="100%" height="100%" fill="#fff"/>');

/** A URL that an `<img>` shows. */
export const urlOf = (/** @type {string} */ svg) => `data:image/svg+xml,${encodeURIComponent(svg)}`;

/** A PNG of `size` x `size` pixels. @param {string} svg @param {number} size @returns {Promise<Blob>} */
export async function pngOf(svg, size) {
  const image = element("img", { width: size, height: size, src: urlOf(svg) });
  await image.decode();
  const canvas = element("canvas", { width: size, height: size });
  canvas.getContext("2d").drawImage(image, 0, 0, size, size);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

const parsed = (svg) => new DOMParser().parseFromString(svg, "image/svg+xml");
