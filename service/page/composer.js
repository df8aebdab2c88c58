/** The form: model, controls, count, temperature and seed in; a request for POST /generate out. */

import { chooserFields, describeControls, readControls, setControls } from "./controls.js";
import { byId, element } from "./element.js";
import { requestOf } from "./snippets.js";

/** Image i is drawn from seed + i, and all sixteen must be safe JavaScript integers. */
export const LARGEST_SEED = 2 ** 53 - 17;

export class Composer {
  /** @param {(request: Object) => void} submit */
  constructor(submit) {
    this.form = byId("form");
    this.form.onsubmit = (event) => {
      event.preventDefault();
      if (!byId("generate").disabled && this.#seedIsGood()) submit(this.request());
    };
    this.form.onchange = () => this.#describe();
    byId("count").oninput = () => this.#outputs();
    byId("temperature").oninput = () => this.#outputs();
    byId("seed").oninput = () => void this.#seedIsGood();
    byId("dice").onclick = () => this.#roll();
    byId("model").onchange = (event) => this.#choose(event.target.value);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    });
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

  /** The request as the form stands; an empty seed is left to the server. */
  request() {
    const seed = byId("seed").value.trim();
    return {
      model: this.model.name,
      num_images: Number(byId("count").value),
      ...(seed === "" ? {} : { seed: Number(seed) }),
      controls: readControls(this.form, Object.keys(this.model.controls)),
      temperature: Number(byId("temperature").value),
    };
  }

  /** Set the form as a job was asked for. @param {import("./client.js").Job} job */
  reuse(job) {
    const { model, num_images, seed, controls, temperature } = requestOf(job);
    if (this.models.some(({ name }) => name === model)) this.#choose(model);
    setControls(this.form, Object.keys(this.model.controls), controls);
    byId("count").value = num_images;
    byId("temperature").value = temperature;
    this.#setSeed(seed);
    this.#outputs();
  }

  /** Say which seed the server drew, and offer to keep it. @param {number} seed */
  drawn(seed) {
    if (byId("seed").value.trim() !== "") return;
    const onclick = () => this.#setSeed(seed);
    const keep = element("button", { type: "button", className: "link", onclick }, "keep it");
    byId("seed-hint").replaceChildren(`last ${seed}, `, keep);
  }

  busy(/** @type {boolean} */ busy) {
    byId("generate").disabled = busy;
    byId("generate").textContent = busy ? "Sending …" : "Generate";
  }

  #choose(name) {
    this.model = this.models.find((model) => model.name === name);
    byId("model").value = name;
    byId("controls").replaceChildren(...chooserFields(this.model.controls));
    byId("facts").replaceChildren(...facts(this.model));
    this.#describe();
  }

  /** Beside each legend, what is chosen. */
  #describe() {
    for (const legend of this.form.querySelectorAll("fieldset > legend")) {
      const chosen = legend.parentElement.querySelector("input:checked");
      legend.dataset.chosen = chosen?.value ? describeControls({ chosen: chosen.value }) : "";
    }
  }

  #outputs() {
    const temperature = Number(byId("temperature").value);
    byId("count-value").textContent = byId("count").value;
    byId("temperature-value").textContent = temperature.toFixed(2);
    byId("temperature-hint").textContent = temperature === 1 ? "The model's own distribution, exactly."
      : temperature < 1 ? "Calmer than the model's own distribution." : "Wilder than the model's own distribution.";
    for (const range of this.form.querySelectorAll("input[type=range]")) {
      range.style.setProperty("--at", (range.value - range.min) / (range.max - range.min));
    }
  }

  #roll() {
    this.#setSeed(crypto.getRandomValues(new Uint32Array(1))[0]);
  }

  #setSeed(seed) {
    byId("seed").value = seed;
    this.#seedIsGood();
  }

  #seedIsGood() {
    const text = byId("seed").value.trim();
    const good = text === "" || (/^\d+$/.test(text) && Number(text) <= LARGEST_SEED);
    byId("seed").ariaInvalid = good ? null : "true";
    byId("seed-hint").textContent = good ? "" : `0 to ${LARGEST_SEED}, or empty`;
    if (!good) {
      byId("seed").focus();
      byId("seed").scrollIntoView({ block: "nearest" });
    }
    return good;
  }
}

/** What the server says of a model, as terms and descriptions. */
function facts({ name, width, height, parameters, bits_per_dim, slices, stages, licence, sheet_url }) {
  const bits = typeof bits_per_dim === "number" ? bits_per_dim : bits_per_dim?.all;
  const compact = Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
  const rows = {
    Model: sheet_url ? element("a", { href: sheet_url, target: "_blank" }, name) : name,
    Size: `${width} × ${height}`,
    Slices: slices,
    Stages: Array.isArray(stages) ? stages.map((stage) => stage.name ?? stage).join(", ") : stages,
    Parameters: parameters && compact.format(parameters),
    "Bits/dim": bits?.toFixed(3),
    Licence: licence,
  };
  return Object.entries(rows).filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([term, value]) =>
      element("div", {}, element("dt", {}, term), element("dd", {}, value instanceof Node ? value : String(value))));
}
