/** How typical an image is, and where it is odd: its exact likelihood under the model, and a heat map of the bits per pixel. */

import { element } from "./element.js";

/** Of an image that takes fewer bits than this part of the average, or more than its inverse, something is said. */
const ALIKE = 0.8;

/** Scores of this visit. @type {Map<string, Promise<import("./client.js").Job>>} by image URL */
const scores = new Map();

/**
 * Ask the server for the score of a final image, and show it.
 * @param {HTMLElement} place @param {import("./client.js").Client} client
 * @param {import("./client.js").Job} job @param {number} index
 */
export async function explain(place, client, job, index) {
  const image = job.images[index];
  const said = element("p", { className: "hint", role: "status" }, "The model reads the image …");
  place.replaceChildren(said);
  try {
    const scored = await scoreOf(client, job.model, image);
    const average = (await client.models()).find(({ name }) => name === job.model)?.bits_per_dim.all;
    said.textContent = words(scored.likelihood, average);
    place.append(element("img", {
      src: client.pictureUrl(scored.images[0].url, { scale: 8 }), width: 512, height: 512,
      alt: "Heat map of the bits per pixel: dark where the image was hard to predict",
    }), element("p", { className: "hint" }, "Yellow to dark red: where it was ever harder to predict."));
  } catch ({ title, detail }) {
    said.textContent = `There is no answer now. ${detail || title || ""}`;
  }
}

/** The succeeded score job of an image, made once. */
function scoreOf(client, model, image) {
  if (!scores.has(image.url)) {
    const score = newScore(client, model, image);
    score.catch(() => scores.delete(image.url));
    scores.set(image.url, score);
  }
  return scores.get(image.url);
}

async function newScore(client, model, { url, controls }) {
  const png = await client.file(client.pictureUrl(url, { slices: null, format: "png" }));
  const chosen = Object.fromEntries(Object.entries(controls ?? {}).filter(([, value]) => value !== null));
  const job = await client.finished(await client.score({ model, controls: chosen, image: await base64(png) }));
  if (job.likelihood) return job;
  throw job.error ?? { title: "The score was cancelled." };
}

const base64 = (/** @type {Blob} */ file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.split(",")[1]);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

/** @param {{bits_per_dim: number, stages: Object<string, number>}} likelihood @param {?number} average of held-out images */
function words({ bits_per_dim, stages }, average) {
  const parts = { base: "layout", size: "shapes", depth: "shades" };
  const shares = Object.entries(stages).map(([stage, bits]) => `${parts[stage] ?? stage} ${bits.toFixed(3)}`).join(", ");
  const size = `It takes ${bits_per_dim.toFixed(3)} bits per colour value (${shares})`;
  if (!average) return `${size}.`;
  const odd = bits_per_dim * ALIKE > average;
  const typical = bits_per_dim < average * ALIKE;
  const verdict = odd ? "An unusual image." : typical ? "A very typical image." : "A typical image.";
  return `${verdict} ${size}; an image that the model has not seen takes ${average.toFixed(3)} on average.`;
}
