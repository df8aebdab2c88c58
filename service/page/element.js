/**
 * Make an element. Keys that are properties are set as such, others as attributes; strings become text, never markup.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Object<string, *>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** A button that does `act`. @param {string} text @param {() => void} act @param {Object<string, *>} [properties] */
export const button = (text, act, properties = {}) =>
  element("button", { type: "button", onclick: act, ...properties }, text);

/** @param {string} id @returns {HTMLElement} */
export const byId = (id) => document.getElementById(id);
