/** The form: model, controls, numbers and perhaps an own image in; requests for POST /generate out. */

import { chooserFields, common, describeControls, nearestHue, offerStyles, readControls, setControls, surprises } from "./controls.js";
import { byId, element } from "./element.js";
import { plural } from "./job-card.js";
import { axisOf, compared, levelOf, Levels } from "./levels.js";
import { requestOf } from "./snippets.js";
import { StartPicture, startStage } from "./start-picture.js";

/** Image i is drawn from seed + i, and all sixteen must be safe JavaScript integers. */
export const LARGEST_SEED = 2 ** 53 - 17;

const WORDS = { create: "Generate", compare: "Compare", redraw: "Redraw" };

export class Composer {
  /** @type {?number} null: the model's default */
  temperature = null;

  /**
   * @param {{submit: (requests: Object[]) => void, choose: (model: string) => void,
   *   complain: (problem: ?Object) => void}} page @param {import("./brand.js").Brand} brand
   */
  constructor(page, brand) {
    Object.assign(this, { page, brand });
    this.levels = new Levels(() => this.#describe());
    this.form = byId("form");
    this.start = new StartPicture((problem) => page.complain(problem));
    this.form.onsubmit = (event) => {
      event.preventDefault();
      if (!byId("generate").disabled && this.#isGood()) page.submit(this.requests());
    };
    this.form.onchange = () => this.#describe();
    for (const id of ["count", "columns"]) byId(id).oninput = () => this.#outputs();
    byId("temperature").oninput = () => this.#setTemperature(Number(byId("temperature").value));
    byId("seed").oninput = () => void this.#seedIsGood();
    byId("dice").onclick = () => this.#setSeed(randomSeed());
    byId("model").onchange = (event) => this.#choose(event.target.value);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    });
    document.addEventListener("paste", (event) => this.mode === "redraw" && this.start.paste(event));
    this.#outputs();
  }

  /** Offer these models; at least one. @param {Object[]} models */
  offer(models) {
    this.models = models;
    byId("model").replaceChildren(...models.map(({ name }) => element("option", { value: name }, name)));
    byId("model-field").hidden = models.length < 2;
    this.#choose((models.find((model) => model.default) ?? models[0]).name);
    byId("generate").disabled = false;
  }

  /** What is to be made: "create", "compare" or "redraw". */
  get mode() {
    return this.form.elements.namedItem("mode").value;
  }

  /**
   * As the form stands: one request, or one for each row of a comparison. Without a subject each image gets a random one,
   * without a hue that of the brand. An empty seed is left to the server, but a comparison needs the same for all.
   */
  requests() {
    const seed = byId("seed").value.trim();
    const num_images = Number(byId(this.mode === "compare" ? "columns" : "count").value);
    const controls = readControls(this.form, Object.keys(this.model.controls));
    const { hue } = this.model.controls;
    if (hue && this.mode !== "redraw") controls.hue ??= nearestHue(this.brand.colours.ground, hue);
    const surprising = this.mode !== "redraw" && this.model.controls.label && !controls.label;
    const request = {
      model: this.model.name,
      num_images,
      ...(seed === "" ? {} : { seed: Number(seed) }),
      controls: surprising ? surprises({ ...controls, ...this.#axisStyle() }, this.model.controls.label, num_images) : controls,
      ...(this.temperature === null ? {} : { temperature: this.temperature }),
      ...(this.mode === "redraw" ? {} : this.#numbers(["guidance", "candidates"])),
    };
    if (this.mode === "compare") return compared({ seed: randomSeed(), ...request }, this.levels.axis, this.levels.chosen);
    const start = this.mode === "redraw" ? this.start.value() : null;
    return [{ ...request, ...(start ? { start } : {}) }];
  }

  /** A style of those that are compared, so that surprises are subjects which have it. */
  #axisStyle() {
    return this.mode === "compare" && this.levels.axis === "style" ? { style: this.levels.chosen[0] } : {};
  }

  /** Set the form as a job was asked for. @param {import("./client.js").Job} job @param {?Object} start what it began with */
  async reuse(job, start) {
    this.#reuse(job, startStage(job) ? "redraw" : "create");
    byId("count").value = job.num_images;
    this.#setTemperature(isNumber(job.temperature) ? job.temperature : null);
    if (start) await this.start.take(start);
  }

  /** Set the form as a comparison was asked for. @param {import("./client.js").Job[]} jobs */
  recompare(jobs) {
    this.#reuse(jobs[0], "compare");
    byId("columns").value = jobs[0].num_images;
    this.levels.choose(axisOf(jobs[0]), jobs.map(levelOf));
    this.#describe();
  }

  /** Set the form to these controls, for new images. @param {Object<string, string>} controls */
  choose(controls) {
    this.form.elements.namedItem("mode").value = "create";
    setControls(this.form, Object.keys(this.model.controls), controls);
  }

  /** Say which seed was drawn, and offer to keep it. @param {number} seed */
  drawn(seed) {
    if (byId("seed").value.trim() !== "") return;
    const onclick = () => this.#setSeed(seed);
    const keep = element("button", { type: "button", className: "link", onclick }, "keep it");
    byId("seed-hint").replaceChildren(`last ${seed}, `, keep);
  }

  busy(/** @type {boolean} */ busy) {
    byId("generate").disabled = busy;
    if (busy) byId("generate").textContent = "Sending …";
    else this.#outputs();
  }

  #reuse(job, mode) {
    const { model, seed, controls } = requestOf(job);
    this.form.elements.namedItem("mode").value = mode;
    if (this.models.some(({ name }) => name === model)) this.#choose(model);
    setControls(this.form, Object.keys(this.model.controls), Array.isArray(controls) ? common(controls) : controls);
    this.#setSeed(seed);
    for (const id of ["guidance", "candidates"]) {
      byId(id).value = job[id] === this.model.sampling?.[id] ? "" : job[id];
    }
  }

  /** What is set of these; an empty field is the model's default. */
  #numbers(ids) {
    const filled = ids.filter((id) => byId(id).value !== "" && !byId(id).disabled);
    return Object.fromEntries(filled.map((id) => [id, Number(byId(id).value)]));
  }

  /** @param {?number} temperature null: the model's default */
  #setTemperature(temperature) {
    this.temperature = temperature;
    byId("temperature").value = temperature ?? 1;
    this.#outputs();
  }

  #choose(name) {
    this.model = this.models.find((model) => model.name === name);
    byId("model").value = name;
    byId("controls").replaceChildren(...chooserFields(this.model.controls, this.model.aliases));
    byId("about").hidden = false;
    byId("facts").replaceChildren(...facts(this.model));
    byId("mode-redraw").disabled = !this.start.offer(this.model);
    const { sampling, guided, verifier } = this.model;
    byId("guidance").disabled = !guided?.length;
    byId("candidates").disabled = !verifier;
    for (const id of ["guidance", "candidates"]) byId(id).placeholder = sampling?.[id] ?? "default";
    this.levels.offer(this.model.controls);
    this.page.choose(name);
    this.#describe();
  }

  /** Beside each legend, what is chosen; and only what the mode asks for. */
  #describe() {
    offerStyles(this.form);
    this.levels.fit(this.form.elements.namedItem("control:label")?.value);
    for (const legend of this.form.querySelectorAll(".chooser > legend")) {
      const chosen = legend.parentElement.querySelector("input:checked");
      legend.dataset.chosen = chosen?.value ? describeControls({ chosen: chosen.value }) : "";
    }
    for (const part of this.form.querySelectorAll("[data-modes]")) {
      part.hidden = !part.dataset.modes.split(" ").includes(this.mode);
    }
    this.#outputs();
  }

  #outputs() {
    const { temperature } = this;
    for (const id of ["count", "columns"]) byId(`${id}-value`).textContent = byId(id).value;
    byId("temperature-value").textContent = temperature === null ? "default" : temperature.toFixed(2);
    const reset = () => element("button", { type: "button", className: "link", onclick: () => this.#setTemperature(null) }, "Use the default");
    byId("temperature-hint").replaceChildren("Lower is cleaner, higher is more varied. ", ...(temperature === null ? [] : [reset()]));
    for (const range of this.form.querySelectorAll("input[type=range]")) {
      range.style.setProperty("--at", (range.value - range.min) / (range.max - range.min));
    }
    const images = this.mode === "compare" && byId("columns").value * this.levels.chosen.length;
    byId("generate").textContent = images ? `${WORDS.compare} ${plural(images, "image")}` : WORDS[this.mode];
  }

  #setSeed(seed) {
    byId("seed").value = seed;
    this.#seedIsGood();
  }

  #isGood() {
    if (this.mode === "compare" && !this.levels.chosen.length) {
      return this.#want("levels", "Nothing to compare", "Choose one value or more.");
    }
    if (this.mode === "redraw" && !this.start.value()) {
      return this.#want("drop", "No image chosen", "Choose the image to redraw.");
    }
    return this.#numbersAreGood() && this.#seedIsGood({ focus: true });
  }

  /** Guidance and candidates, which may be folded away. */
  #numbersAreGood() {
    const wrong = this.mode !== "redraw" && ["guidance", "candidates"].map(byId).find((input) => !input.checkValidity());
    if (!wrong) return true;
    byId("fine").open = true;
    return wrong.reportValidity();
  }

  #want(id, title, detail) {
    byId(id).querySelector("input").focus();
    this.page.complain({ title, detail });
    return false;
  }

  #seedIsGood({ focus = false } = {}) {
    const text = byId("seed").value.trim();
    const good = text === "" || (/^\d+$/.test(text) && Number(text) <= LARGEST_SEED);
    byId("seed").ariaInvalid = good ? null : "true";
    byId("seed-hint").textContent = good ? "" : `0 to ${LARGEST_SEED}, or empty`;
    if (!good && focus) {
      byId("fine").open = true;
      byId("seed").focus();
      byId("seed").scrollIntoView({ block: "nearest" });
    }
    return good;
  }
}

const isNumber = (/** @type {unknown} */ value) => typeof value === "number";

const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];

/** What the server says of a model, as terms and descriptions. */
function facts({ name, width, height, parameters, bits_per_dim, slices, stages, licence, sheet_url }) {
  const bits = typeof bits_per_dim === "number" ? bits_per_dim : bits_per_dim?.all;
  const compact = Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
  const rows = {
    Model: name,
    Size: `${width} × ${height}`,
    Slices: slices,
    Stages: Array.isArray(stages) ? stages.map((stage) => stage.name ?? stage).join(", ") : stages,
    Parameters: parameters && compact.format(parameters),
    "Bits/dim": bits?.toFixed(3),
    Licence: licence,
    Samples: sheet_url && element("a", { href: sheet_url, target: "_blank" }, "sheet of samples"),
  };
  return Object.entries(rows).filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([term, value]) =>
      element("div", {}, element("dt", {}, term), element("dd", {}, value instanceof Node ? value : String(value))));
}
