/** The choosers of a model's controls (label, hue, tile, ...): built from GET /models, read and set by name. */

import { element } from "./element.js";

const SWATCHES = {
  red: "oklch(0.59 0.215 26)", orange: "oklch(0.73 0.17 55)", amber: "oklch(0.79 0.165 75)",
  yellow: "oklch(0.87 0.17 93)", lime: "oklch(0.81 0.195 126)", green: "oklch(0.61 0.165 149)",
  teal: "oklch(0.62 0.105 188)", cyan: "oklch(0.74 0.12 210)", sky: "oklch(0.75 0.135 230)",
  blue: "oklch(0.53 0.215 262)", indigo: "oklch(0.47 0.2 277)", violet: "oklch(0.53 0.225 295)",
  purple: "oklch(0.53 0.225 305)", magenta: "oklch(0.61 0.24 332)", pink: "oklch(0.79 0.125 359)",
  brown: "oklch(0.44 0.08 56)", neutral: "oklch(0.6 0.006 260)",
};
const SHAPES = ["circle", "rounded", "square", "none"];
const ANY = "";

/**
 * One chooser per control, each starting at "any".
 * @param {Object<string, string[]>} controls values by control name
 * @returns {HTMLElement[]}
 */
export const chooserFields = (controls) =>
  Object.entries(controls).map(([name, values]) => {
    if (name === "label") return labelField(name, values);
    if (name === "hue" && values.every(colour)) return swatchField(name, values);
    if (name === "tile" && values.every((value) => SHAPES.includes(value))) return shapeField(name, values);
    return selectField(name, values);
  });

/** The chosen values; what is left at "any" is absent. @param {HTMLFormElement} form @param {string[]} names */
export function readControls(form, names) {
  const data = new FormData(form);
  const chosen = names.map((name) => [name, data.get(field(name))]);
  return Object.fromEntries(chosen.filter(([, value]) => value));
}

/** Choose `controls`, and "any" for the rest. @param {HTMLFormElement} form @param {string[]} names */
export function setControls(form, names, controls) {
  for (const name of names) {
    const value = typeof controls[name] === "string" ? controls[name] : ANY;
    const input = form.elements.namedItem(field(name));
    if (input) input.value = value;
    const radio = input instanceof RadioNodeList ? [...input].find((one) => one.checked) : null;
    const folded = radio?.closest("details");
    if (folded) folded.open = true;
  }
  form.dispatchEvent(new Event("change"));
}

/** Controls as a person says them: "A, blue, circle". */
export function describeControls(/** @type {Object | Object[]} one for all pictures, or one each */ controls) {
  if (Array.isArray(controls)) return "mixed";
  return Object.values(controls ?? {}).filter(Boolean).map(plain).join(" · ") || "anything";
}

const field = (/** @type {string} */ name) => `control:${name}`;
const plain = (/** @type {string} */ value) => value.replaceAll("-", " ");
const title = (/** @type {string} */ name) => name[0].toUpperCase() + plain(name).slice(1);
const colour = (/** @type {string} */ value) => SWATCHES[value] ?? (CSS.supports("color", value) ? value : null);

function labelField(name, values) {
  const keys = values.filter((value) => value.length === 1);
  const subjects = values.filter((value) => value.length > 1);
  const keyGrid = element("div", { className: "keys" }, ...keys.map((value) => option(name, value, value)));
  return fieldset(name, "chooser-label", ...(keys.length ? [keyGrid] : []),
    ...(subjects.length ? [fold(name, subjects, !keys.length)] : []));
}

function fold(name, subjects, open) {
  const chips = subjects.map((value) => option(name, value, plain(value)));
  const count = element("span", { className: "count" }, String(subjects.length));
  return element("details", { className: "fold", open }, element("summary", {}, "Subjects", count),
    element("div", { className: "chips" }, ...chips));
}

function swatchField(name, values) {
  const swatches = values.map((value) => {
    const swatch = option(name, value, value);
    swatch.style.setProperty("--swatch", colour(value));
    swatch.title = value;
    return swatch;
  });
  return fieldset(name, "chooser-swatches", element("div", { className: "swatches" }, ...swatches));
}

function shapeField(name, values) {
  const shapes = values.map((value) => {
    const shape = option(name, value, value);
    shape.dataset.shape = value;
    return shape;
  });
  return fieldset(name, "chooser-shapes", element("div", { className: "shapes" }, ...shapes));
}

function selectField(name, values) {
  const options = [ANY, ...values].map((value) => element("option", { value }, value || "any"));
  const select = element("select", { name: field(name) }, ...options);
  return element("label", { className: "field" }, element("span", { className: "legend" }, title(name)), select);
}

function fieldset(name, className, ...children) {
  const any = option(name, ANY, "any");
  any.className = "option any";
  any.firstChild.defaultChecked = true;
  return element("fieldset", { className: `field chooser ${className}` },
    element("legend", { className: "legend" }, title(name)), any, ...children);
}

/** A radio button that looks like what it chooses. */
const option = (name, value, text) =>
  element("label", { className: "option" },
    element("input", { type: "radio", name: field(name), value, ariaLabel: value ? plain(value) : `any ${name}` }),
    element("span", {}, text));
