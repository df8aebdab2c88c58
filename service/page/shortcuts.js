/** Single keys that lead around the page, a dialog that lists them, and a switch for those whom they disturb. */

import { byId } from "./element.js";

const OFF = "spn.no-shortcuts";
const TYPING = "input:not([type=radio], [type=range], [type=checkbox]), textarea, select, [contenteditable]";

/** @param {Object<string, () => void>} keys what each key does */
export function listen(keys) {
  const help = byId("help");
  const toggle = byId("single-keys");
  toggle.checked = localStorage.getItem(OFF) === null;
  toggle.onchange = () => (toggle.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1"));
  const all = { ...keys, "?": () => help.showModal() };
  byId("help-button").onclick = all["?"];
  byId("help-close").onclick = () => help.close();
  document.addEventListener("keydown", (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const free = !document.querySelector("dialog[open]") && !event.target.matches?.(TYPING);
    if (!plain || !free || !toggle.checked || !all[event.key]) return;
    event.preventDefault();
    all[event.key]();
  });
}
