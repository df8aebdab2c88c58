/** Images side by side, large and small, on light and on dark: how they read as icons of an app. */

import { byId, element } from "./element.js";

const SIZES = [96, 48, 32, 16];
const GROUNDS = ["light", "dark"];

/** @param {{name: string, src: string}[]} images */
export function showLineUp(images) {
  byId("line-up-grounds").replaceChildren(...GROUNDS.map((ground) => element("section", { className: `ground ${ground}`, ariaLabel: `On ${ground}` },
    ...images.map(({ name, src }) => element("figure", {}, ...SIZES.map((size, i) => sized(size, { src, alt: i ? "" : name })),
      element("figcaption", {}, name))))));
  byId("line-up").showModal();
}

function sized(size, properties) {
  const image = element("img", properties);
  image.style.width = `${size}px`;
  return image;
}
