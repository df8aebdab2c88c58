/** Several images as one archive: an SVG and PNG files of each, in a brand's colours if those are on. */

import { branded, pngOf } from "./vector.js";
import { zipOf } from "./zip.js";

const PNG_SIZES = [64, 512, 1024];

/**
 * @param {{name: string, svg: ?string, png: Blob}[]} images `png`: the pixels as generated
 * @param {import("./brand.js").Colours} brand
 * @returns {Promise<Blob>}
 */
export async function archiveOf(images, brand) {
  const files = [];
  for (const [name, { svg, png }] of named(images)) {
    if (svg) {
      const drawing = branded(svg, brand);
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
