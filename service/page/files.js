/** Images as files: their names, on the clipboard, dragged out of the page, and saved. */

import { element } from "./element.js";
import { copy } from "./snippets.js";

/** Pixels along an image that is copied or dragged. */
export const FILE_PIXELS = 512;

/** A file's name without its ending: what the image shows, and its seed. @param {import("./client.js").Picture} image */
export const fileName = (image) => plainName([...Object.values(image.controls ?? {}).filter(Boolean), image.seed].join("-"));

/** Letters, digits and hyphens of any script, for a file's name. */
export const plainName = (/** @type {string} */ words) => words.trim().replace(/[^\p{L}\p{N}-]+/gu, "-").replace(/^-+|-+$/g, "") || "image";

/** Put an image on the clipboard. @param {Promise<Blob>} png @returns {Promise<void>} rejected where the browser allows none */
export async function copyImage(png) {
  if (!globalThis.ClipboardItem || !navigator.clipboard?.write) throw new Error("This browser copies images on https and localhost alone.");
  await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
}

/** Put a drawing on the clipboard as SVG text, which design tools paste as shapes. @param {Promise<string>} svg */
export const copySvg = async (svg) => copy(await svg);

/**
 * What another program gets when an image is dropped there: a file, its address, and an image for documents.
 * @param {DragEvent} event @param {{name: string, url: string}} file a PNG
 */
export function dragOut({ dataTransfer, currentTarget }, { name, url }) {
  dataTransfer.effectAllowed = "copy";
  dataTransfer.setData("DownloadURL", `image/png:${name}.png:${url}`);
  dataTransfer.setData("text/uri-list", url);
  dataTransfer.setData("text/html", element("img", { src: url, alt: name }).outerHTML);
  const shown = currentTarget.querySelector("img");
  if (shown) dataTransfer.setDragImage(shown, shown.width / 2, shown.height / 2);
}

/** Save a file. @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const href = URL.createObjectURL(blob);
  element("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
