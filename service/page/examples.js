/** The examples of the first screen: images of the shipped model, and the request that makes more like each. */

import { describeControls } from "./controls.js";
import { byId, element } from "./element.js";

/**
 * Offer the examples whose controls the model has. `examples.json` lists them in the order of `examples.webp`, a column of
 * square images; `python -m benchmarks.page_examples` makes that.
 * @param {Object<string, string[]>} controls of the model @param {(controls: Object<string, string>) => void} choose
 */
export async function offerExamples(controls, choose) {
  const all = await fetch(new URL("examples.json", import.meta.url)).then((response) => response.json()).catch(() => []);
  const offered = all.map((example, at) => ({ ...example, at }))
    .filter((example) => Object.entries(example.controls).every(([name, value]) => controls[name]?.includes(value)));
  byId("examples").replaceChildren(...offered.map((example) => {
    const name = describeControls(example.controls);
    const shown = element("span", { className: "example" });
    shown.style.setProperty("--at", all.length > 1 ? example.at / (all.length - 1) : 0);
    shown.style.setProperty("--count", all.length);
    return element("li", {}, element("button", { type: "button", className: "tile", ariaLabel: `Make more like: ${name}`, title: name, onclick: () => choose(example.controls) }, shown));
  }));
}
