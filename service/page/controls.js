/** The choosers of a model's controls (label, style, hue, tile): built from GET /models, read and set by name. */

import { element } from "./element.js";
import { showChosen, subjectFields } from "./subjects.js";

const SWATCHES = {
  red: "oklch(0.59 0.215 26)", orange: "oklch(0.73 0.17 55)", amber: "oklch(0.79 0.165 75)",
  yellow: "oklch(0.87 0.17 93)", lime: "oklch(0.81 0.195 126)", green: "oklch(0.61 0.165 149)",
  teal: "oklch(0.62 0.105 188)", cyan: "oklch(0.74 0.12 210)", sky: "oklch(0.75 0.135 230)",
  blue: "oklch(0.53 0.215 262)", indigo: "oklch(0.47 0.2 277)", violet: "oklch(0.53 0.225 295)",
  purple: "oklch(0.53 0.225 305)", magenta: "oklch(0.61 0.24 332)", pink: "oklch(0.79 0.125 359)",
  brown: "oklch(0.44 0.08 56)", neutral: "oklch(0.6 0.006 260)",
};
const SHAPES = ["circle", "rounded", "square", "none"];
/** Styles of letters, and of all other subjects; one of them is not offered for the other. */
const STYLES = { letter: ["sans", "serif", "slab", "script", "display"], icon: ["solid", "outline"] };
const TITLES = { label: "Subject", hue: "Colour", tile: "Tile", style: "Style" };
const ANY = "";

/**
 * One chooser per control, each starting at "any".
 * @param {Object<string, string[]>} controls values by control name
 * @param {Object<string, Object<string, string>>} aliases other names by control
 * @returns {HTMLElement[]}
 */
export const chooserFields = (controls, aliases = {}) =>
  Object.entries(controls).map(([name, values]) => {
    if (name === "label") return labelField(name, values, aliases[name]);
    if (name === "style") return fieldset(name, "any", element("div", { className: "chips" }, ...values.map((value) => option(name, value, value))));
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
    set(form, name, typeof controls[name] === "string" ? controls[name] : ANY);
  }
  showChosen(form);
  form.dispatchEvent(new Event("change"));
}

/** Offer the styles of the chosen subject; one that is not among them becomes "any". @param {HTMLFormElement} form */
export function offerStyles(form) {
  const label = form.elements.namedItem(field("label"))?.value ?? ANY;
  for (const input of form.querySelectorAll(`[name="${field("style")}"]`)) {
    const fits = input.value === ANY || styleFits(input.value, label);
    input.parentElement.hidden = !fits;
    if (!fits && input.checked) set(form, "style", ANY);
  }
}

/** Not by the value of the list of radio buttons: setting that to "" does nothing in Chromium. */
function set(form, name, value) {
  const input = form.elements.namedItem(field(name));
  if (input instanceof RadioNodeList) for (const one of input) one.checked = one.value === value;
  else if (input) input.value = value;
}

export const styleFits = (style, label) => label === ANY || !STYLES[label.length === 1 ? "icon" : "letter"].includes(style);

/**
 * Controls of `count` images without a chosen subject: a random one for each, that the style fits, none twice as long as
 * there are others.
 * @param {Object<string, string>} chosen @param {string[]} labels of the model
 */
export function surprises(chosen, labels, count) {
  const fitting = labels.filter((label) => !chosen.style || styleFits(chosen.style, label));
  const order = fitting.map((label) => [Math.random(), label]).sort(([a], [b]) => a - b).map(([, label]) => label);
  return Array.from({ length: count }, (_, i) => ({ ...chosen, label: order[i % order.length] }));
}

/** Controls as a person says them: "A, blue, circle". */
export function describeControls(/** @type {Object | Object[]} one for all images, or one each */ controls) {
  if (Array.isArray(controls)) return describeSeveral(controls);
  return Object.values(controls ?? {}).filter(Boolean).map(plain).join(" · ") || "anything";
}

function describeSeveral(controls) {
  const labels = [...new Set(controls.map(({ label }) => label ?? "anything"))];
  const shown = labels.length > 4 ? `${labels.length} subjects` : labels.map(plain).join(", ");
  return [shown, describeControls(common(controls))].filter((words) => words !== "anything").join(" · ");
}

/** What a list of controls has in common. @param {Object<string, ?string>[]} controls @returns {Object<string, string>} */
export const common = ([first, ...others]) => Object.fromEntries(Object.entries(first)
  .filter(([name, value]) => value && others.every((each) => each[name] === value)));

const field = (/** @type {string} */ name) => `control:${name}`;
export const plain = (/** @type {string} */ value) => value.replaceAll("-", " ");
export const title = (/** @type {string} */ name) => TITLES[name] ?? name[0].toUpperCase() + plain(name).slice(1);
const colour = (/** @type {string} */ value) => SWATCHES[value] ?? (CSS.supports("color", value) ? value : null);

/**
 * The hue nearest to a colour, by hue angle first, then by lightness; undefined without a colour, or if this browser cannot
 * convert it. @param {string | undefined} hex @param {string[]} hues
 */
export function nearestHue(hex, hues) {
  if (!hex || !CSS.supports("color", "oklab(from red l a b)")) return undefined;
  const from = place(hex);
  const far = (hue) => Math.hypot(...place(colour(hue)).map((value, i) => value - from[i]));
  return hues.filter(colour).sort((a, b) => far(a) - far(b))[0];
}

/** Half the lightness, and the direction of the hue in OKLab, which is short for greys. */
function place(colour) {
  const probe = document.body.appendChild(element("i"));
  probe.style.color = `oklab(from ${colour} l a b)`;
  const [l, a, b] = getComputedStyle(probe).color.match(/-?\d[\d.e-]*/g).map(Number);
  probe.remove();
  const chroma = Math.max(Math.hypot(a, b), 0.05);
  return [l / 2, a / chroma, b / chroma];
}

const labelField = (name, values, aliases) =>
  fieldset(name, "surprise me", ...subjectFields(values, aliases, (value, text) => option(name, value, text)));

function swatchField(name, values) {
  const swatches = values.map((value) => {
    const swatch = option(name, value, value);
    swatch.style.setProperty("--swatch", colour(value));
    swatch.title = value;
    return swatch;
  });
  return fieldset(name, "any", element("div", { className: "swatches" }, ...swatches));
}

function shapeField(name, values) {
  const shapes = values.map((value) => {
    const shape = option(name, value, value);
    shape.dataset.shape = value;
    return shape;
  });
  return fieldset(name, "any", element("div", { className: "shapes" }, ...shapes));
}

function selectField(name, values) {
  const options = [ANY, ...values].map((value) => element("option", { value }, value || "any"));
  const select = element("select", { name: field(name) }, ...options);
  return element("label", { className: "field" }, element("span", { className: "legend" }, title(name)), select);
}

function fieldset(name, anyWords, ...children) {
  const any = option(name, ANY, anyWords);
  any.className = "option any";
  any.firstChild.defaultChecked = true;
  return element("fieldset", { className: `field chooser chooser-${name}` },
    element("legend", { className: "legend" }, title(name)), any, ...children);
}

/** A radio button that looks like what it chooses. */
const option = (name, value, text) =>
  element("label", { className: "option" },
    element("input", { type: "radio", name: field(name), value, ariaLabel: value ? plain(value) : `any ${title(name).toLowerCase()}` }),
    element("span", {}, text));
