/** A short message at the foot of the page, with an action that takes back what was done. */

import { button, byId, element } from "./element.js";

const SHOWN_SECONDS = 10;
let timer = null;

/** @param {string} words @param {?() => void} [undo] offered for ten seconds */
export function toast(words, undo = null) {
  clearTimeout(timer);
  const act = undo && button("Undo", () => {
    hide();
    undo();
  });
  byId("toast").replaceChildren(element("p", { role: "status" }, words), ...(act ? [act] : []));
  byId("toast").hidden = false;
  timer = setTimeout(hide, SHOWN_SECONDS * 1000);
}

function hide() {
  clearTimeout(timer);
  byId("toast").hidden = true;
  byId("toast").replaceChildren();
}
