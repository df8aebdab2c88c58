/** What a comparison varies: one control or the temperature; and the values of it that are compared. */

import { plain, styleFits, title } from "./controls.js";
import { byId, element } from "./element.js";

const TEMPERATURE = "temperature";
const TEMPERATURES = [0.5, 0.7, 0.85, 1, 1.15, 1.3];
const USUAL = [0.7, 1, 1.3];
/** Values of a control that are chosen at first; of styles, which the subject limits, all. */
const FIRST = 4;
const ANY_ICON = "icon";

export class Levels {
  /** @param {() => void} changed */
  constructor(changed) {
    byId("axis").onchange = () => {
      this.#show();
      changed();
    };
  }

  /** Offer the controls of a model. @param {Object<string, string[]>} controls */
  offer(controls) {
    this.controls = controls;
    const axes = [...Object.keys(controls).filter((name) => name !== "label" && controls[name].length > 1), TEMPERATURE];
    byId("axis").replaceChildren(...axes.map((value) => element("option", { value }, title(value))));
    this.#show();
  }

  /** Offer the styles that a subject may have; without a subject, those of an icon. @param {string} label */
  fit(label) {
    if (this.axis !== "style") return;
    for (const box of this.#boxes()) box.parentElement.hidden = !styleFits(box.value, label || ANY_ICON);
  }

  get axis() {
    return byId("axis").value;
  }

  /** @returns {(string | number)[]} */
  get chosen() {
    const values = this.#boxes().filter((box) => box.checked && !box.parentElement.hidden).map(({ value }) => value);
    return this.axis === TEMPERATURE ? values.map(Number) : values;
  }

  /** @param {string} axis @param {(string | number)[]} values */
  choose(axis, values) {
    byId("axis").value = axis;
    this.#show();
    for (const box of this.#boxes()) box.checked = values.map(String).includes(box.value);
  }

  #show() {
    const numbers = this.axis === TEMPERATURE;
    byId("levels").className = `chips ticks ${numbers ? "six" : ""}`;
    byId("levels").replaceChildren(...(numbers ? TEMPERATURES : this.controls[this.axis]).map((value, i) =>
      element("label", { className: "option" },
        element("input", { type: "checkbox", value, checked: numbers ? USUAL.includes(value) : i < FIRST || this.axis === "style" }),
        element("span", {}, plain(String(value))))));
  }

  #boxes() {
    return [...byId("levels").querySelectorAll("input")];
  }
}

/**
 * The same seeds at each value of the axis. The metadata, which the server keeps, say what belongs together.
 * @param {Object} request with a seed @param {string} axis @param {(string | number)[]} values
 */
export function compared(request, axis, values) {
  const metadata = { comparison: crypto.randomUUID(), axis };
  const at = (value) => (axis === TEMPERATURE ? { temperature: value } : { controls: each(request.controls, (one) => ({ ...one, [axis]: value })) });
  return values.map((value) => ({ ...request, metadata, ...at(value) }));
}

/** What a job's comparison varies. @param {import("./client.js").Job} job */
export const axisOf = ({ metadata }) => metadata.axis ?? TEMPERATURE;

/** The value at which a job is one row of its comparison. @param {import("./client.js").Job} job */
export const levelOf = (job) => (axisOf(job) === TEMPERATURE ? job.temperature : job.images[0].controls[axisOf(job)]);

/** The controls that all rows share. @param {import("./client.js").Job} job */
export const sharedControls = (job) => each(job.controls, ({ [axisOf(job)]: _, ...others }) => others);

const each = (controls, change) => (Array.isArray(controls) ? controls.map(change) : change(controls));
