/** The views beside the form: images, favourites and examples; one of them is shown. */

import { byId } from "./element.js";

const VIEWS = ["images", "favourites", "examples"];

/** The view that is shown, null before the first. @returns {?string} */
export const shown = () => document.body.dataset.view ?? null;

/** @param {string} view */
export function show(view) {
  document.body.dataset.view = view;
  for (const name of VIEWS) {
    byId(`${name}-view`).hidden = name !== view;
    byId(`show-${name}`).ariaPressed = String(name === view);
  }
}

for (const name of VIEWS) byId(`show-${name}`).onclick = () => show(name);
