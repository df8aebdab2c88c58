/** A short message at the foot of the page, with an action that takes back what was done. */

import { button, byId, element } from "./element.js";

const SHOWN_SECONDS = 10;
let timer = null;

/** @param {string} words @param {?() => void} [undo] offered for ten seconds */
export function toast(words, undo = null) {
  inFront(byId("toast"));
  clearTimeout(timer);
  const act = undo && button("Undo", () => {
    hide();
    undo();
  });
  byId("toast").hidden = false;
  byId("toast").replaceChildren(element("p", {}, words), ...(act ? [act] : []));
  timer = setTimeout(hide, SHOWN_SECONDS * 1000);
}

/** Move a message into the open dialog, which covers the page; without a dialog, into the page. @param {HTMLElement} node */
export function inFront(node) {
  const place = document.querySelector("dialog[open]") ?? document.body;
  if (node.parentElement !== place) place.append(node);
}

document.addEventListener("close", () => inFront(byId("toast")), true);

function hide() {
  clearTimeout(timer);
  byId("toast").hidden = true;
  byId("toast").replaceChildren();
}
