/** New images that keep the beginning of a finished one: its base slice, or all of its coarse image. */

import { byId } from "./element.js";

const COUNT = 4;

/** The first network that runs anew, by button, and what the image keeps then. */
const CHOICES = {
  "more-like-this": { stage: "size", hint: "“More like this” keeps the rough layout and generates the rest." },
  "refine-again": { stage: "depth", hint: "“Refine again” keeps the shapes and generates the fine shades." },
};

/** @typedef {{job: string, index: number, seed: number}} Parent the image that a job varies, as its metadata says */

/** @param {import("./client.js").Job} job @returns {?Parent} null for a job that varies no image */
export const parentOf = ({ metadata }) => (Number.isInteger(metadata?.variation?.seed) ? metadata.variation : null);

/** The body of POST /generate for variations of image `index` of `job`, with new seeds. */
export function variationsOf({ id, model, temperature, guidance, images }, index, stage) {
  const { seed, controls } = images[index];
  const chosen = Object.fromEntries(Object.entries(controls ?? {}).filter(([, value]) => value !== null));
  return {
    model, num_images: COUNT, controls: chosen, temperature, guidance,
    start: { job: id, index, stage }, metadata: { variation: { job: id, index, seed } },
  };
}

/**
 * Offer what the model has networks for.
 * @param {Object<string, number[]>} sizes `start_sizes` of the model; none: offer nothing @param {(stage: string) => void} vary
 */
export function offerVariations(sizes, vary) {
  const offered = Object.entries(CHOICES).filter(([, { stage }]) => sizes[stage]);
  byId("variations").hidden = offered.length === 0;
  for (const id of Object.keys(CHOICES)) byId(id).hidden = true;
  for (const [id, { stage }] of offered) Object.assign(byId(id), { hidden: false, onclick: () => vary(stage) });
  byId("variations-hint").textContent = offered.map(([, { hint }]) => hint).join(" ");
}
