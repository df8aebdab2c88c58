/** Several images as one archive: an SVG and PNG files of each. */

import { pngOf } from "./vector.js";
import { zipOf } from "./zip.js";

const PNG_SIZES = [64, 512, 1024];

/**
 * @param {{name: string, svg: ?string, png: Blob}[]} images `png`: the pixels as generated
 * @param {(svg: string) => string} drawn the drawing in the colours of the files
 * @returns {Promise<Blob>}
 */
export async function archiveOf(images, drawn) {
  const files = [];
  for (const [name, { svg, png }] of named(images)) {
    if (svg) {
      const drawing = drawn(svg);
      files.push({ name: `${name}.svg`, blob: new Blob([drawing]) });
      for (const size of PNG_SIZES) files.push({ name: `${name}-${size}.png`, blob: await pngOf(drawing, size) });
    }
    files.push({ name: `${name}-pixels.png`, blob: png });
  }
  return zipOf(files);
}

/** None twice. */
function named(images) {
  const used = new Map();
  return images.map((image) => {
    const count = (used.get(image.name) ?? 0) + 1;
    used.set(image.name, count);
    return [count > 1 ? `${image.name}-${count}` : image.name, image];
  });
}
