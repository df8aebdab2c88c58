/** The playground page: the form, the gallery, and what joins them to the server. */

import { Brand } from "./brand.js";
import { Client } from "./client.js";
import { Composer, LARGEST_SEED } from "./composer.js";
import { Connection } from "./connection.js";
import { button, byId, element } from "./element.js";
import { offerExamples } from "./examples.js";
import { Favourites } from "./favourites.js";
import { fileName, save } from "./files.js";
import { Gallery } from "./gallery.js";
import { NOT_LOADED, problemParts } from "./job-card.js";
import { axisOf, compared, levelOf } from "./levels.js";
import { listen } from "./shortcuts.js";
import { asCurl, asJavaScript, copy, requestOf, requestOfPicture } from "./snippets.js";
import { startOf } from "./start-picture.js";
import { inFront, toast } from "./toast.js";
import { parentOf, variationsOf } from "./variations.js";
import { branded, pixelsOf, vectorOf } from "./vector.js";
import { show, shown } from "./views.js";

const KEY = "spn.key";
const RETRY_SECONDS = 4;

const key = () => sessionStorage.getItem(KEY);
const client = new Client({ base: new URL(".", location).href, key });
const slicesByModel = new Map();

const brand = new Brand(() => {
  gallery.recolour();
  favourites.show();
});
const favourites = new Favourites(client, brand, {
  say, copied, complain: showProblem, repeat: (request) => submit([{ ...request, num_images: 4, seed: undefined }]),
  changed: () => {
    gallery.mark();
    viewer?.mark();
  },
});

const actions = {
  client,
  brand,
  copied,
  keep: (job, index) => favourites.toggle(job, index),
  isKept: (id) => favourites.has(id),
  downloadAll,
  slicesOf: ({ model }) => slicesByModel.get(model) ?? null,
  drawn: (model) => connection?.drawn(model) ?? true,
  open: (card, index) => enlarged().then((viewer) => viewer.open(card, index), () => showProblem(NOT_LOADED)),
  cancel: (card) => gallery.cancel(card),
  remove: (...cards) => gallery.remove(...cards),
  again: (job) => submit(fullRequest(job).then((request) => [{ ...request, seed: seedAfter(job) }])),
  startSizesOf: ({ model }) => composer.models?.find(({ name }) => name === model)?.start_sizes ?? {},
  vary: (job, index, stage) => submit([variationsOf(job, index, stage)]),
  repeat: (job) => submit(fullRequest(job).then((request) => [request])),
  reuse: (job) => start(job).then((begun) => composer.reuse(job, begun)).then(() => reused(job), showProblem),
  compareOn: (jobs) => {
    const request = { ...requestOf(jobs[0]), seed: seedAfter(jobs[0]) };
    return submit(compared(request, axisOf(jobs[0]), jobs.map(levelOf)));
  },
  recompare: (jobs) => {
    composer.recompare(jobs);
    reused(jobs[0]);
  },
  copyCurl: (job, from, index) => copyFrom(from, asCurl, job, index),
  copyJavaScript: (job, from, index) => copyFrom(from, asJavaScript, job, index),
};
let connection = null;
const composer = new Composer({ submit, choose: (model) => connection?.choose(model), complain: showProblem }, brand);
/** Loaded with the first image that is enlarged. @type {?import("./viewer.js").Viewer} */
let viewer = null;
const enlarged = async () => {
  const { Viewer } = await import("./viewer.js");
  return (viewer ??= new Viewer(actions));
};
const gallery = new Gallery(actions, {
  say, complain: showProblem, changed: (card) => viewer?.follow(card), away: () => connection?.check(), keyed: () => Boolean(key()),
});
connection = new Connection(client, { back: returned, changed: () => gallery.say() });

const start = (job) => startOf(client, job, actions.startSizesOf(job));
const fullRequest = async (job) => {
  const parent = parentOf(job);
  return { ...requestOf(job, await start(job)), ...(parent ? { metadata: { variation: parent } } : {}) };
};
const seedAfter = ({ seed, num_images }) => (seed + num_images <= LARGEST_SEED ? seed + num_images : 0);

/** Save the final images of a job as one archive. @param {(svg: string) => string} [drawn] by default in the brand's colours */
async function downloadAll(job, drawn = (svg) => branded(svg, brand.colours)) {
  try {
    const { archiveOf } = await import("./image-set.js");
    const images = await Promise.all(job.images.filter(({ final }) => final).map(async (image) => (
      { name: fileName(image), svg: await vectorOf(client, image).catch(() => null), png: await pixelsOf(client, image) })));
    save(await archiveOf(images, drawn), `${fileName(job.images[0])}-all.zip`);
  } catch {
    showProblem({ title: "Not downloaded", detail: "The images cannot be read from the server now, or have expired." });
  }
}

/** Set the form as an example has it, and make images. */
function makeLike(controls) {
  composer.choose(controls);
  submit(composer.requests());
}

/** Send requests one after the other, and show what becomes of them. @param {Object[] | Promise<Object[]>} requests */
async function submit(requests) {
  showProblem(null);
  composer.busy(true);
  try {
    for (const [i, request] of (await requests).entries()) {
      const job = await client.submit(request);
      gallery.add(job);
      show("images");
      composer.drawn(job.seed);
      if (i === 0) byId("gallery").scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
    }
  } catch (problem) {
    showProblem(problem);
    if ([0, 503].includes(problem.status)) connection.check();
  } finally {
    composer.busy(false);
  }
}

/** Ask for the models until there are some, and say plainly why there are none yet. */
async function begin() {
  clearTimeout(timer);
  try {
    const models = await client.models();
    notice(models.length ? null : NO_MODEL);
    if (!models.length) return;
    for (const { name, slices } of models) if (Number.isInteger(slices)) slicesByModel.set(name, slices);
    if (!composer.models) {
      composer.offer(models);
      offerExamples(composer.model.controls, makeLike);
    }
    await client.jobs();
    byId("generate").disabled = false;
    const unread = await gallery.restore();
    if (!shown()) show(gallery.isEmpty && !unread ? "examples" : "images");
    if (unread) retry();
  } catch (problem) {
    if ([401, 403].includes(problem.status)) {
      openKey();
      return notice(problem.status === 403 ? problem : KEY_WANTED, openKey, "Enter key");
    }
    const { title, detail } = asProblem(problem);
    if (!composer.models) notice({ title, detail: `${detail ?? ""} The page tries again.` }, begin, "Try now");
    retry();
  }
}

/** The server is back: what it said while it was not is over. */
function returned() {
  if (unavailable) showProblem(null);
  begin();
}

const NO_MODEL = { title: "No model is configured", detail: "The server runs, but has no weights to sample from." };
const KEY_WANTED = { title: "This server requires an API key", detail: "Enter it under “API key”." };

let timer;
function retry() {
  clearTimeout(timer);
  timer = setTimeout(begin, RETRY_SECONDS * 1000);
}

function notice(problem, act, words) {
  byId("notice").hidden = !problem;
  if (!problem) return byId("notice").replaceChildren();
  byId("generate").disabled = true;
  if (!composer.models) byId("controls").replaceChildren();
  byId("notice").replaceChildren(...problemParts(problem), ...(act ? [button(words, act)] : []));
  say(problem.title);
}

let unavailable = false;
function showProblem(problem) {
  unavailable = [0, 503].includes(problem?.status);
  byId("form-error").hidden = !problem;
  byId("form-error").replaceChildren(...(problem ? problemParts(asProblem(problem)) : []));
  if (problem && document.querySelector("dialog[open]")) toast(byId("form-error").innerText);
  if ([401, 403].includes(problem?.status)) openKey();
}

function asProblem({ title = "Something went wrong", detail, message, errors }) {
  return { title, detail: detail ?? message, errors };
}

function reused(job) {
  byId("generate").focus();
  say(`Settings of seed ${job.seed} are in the form.`);
}

const copyFrom = (from, write, job, index) => copied(from, code(write, job, index).then(copy));

/** Say on a button what became of its copy. @param {HTMLElement} from @param {Promise<void>} copying */
async function copied(from, copying) {
  const words = from.dataset.words ??= from.textContent;
  const done = await copying.then(() => "Copied", () => "Could not copy");
  from.textContent = done;
  setTimeout(() => (from.textContent = words), 1600);
  say(done === "Copied" ? words.replace("Copy ", "Copied: ") : `${done}: ${words}`);
}

async function code(write, job, index) {
  const begun = await start(job);
  const request = index === undefined ? requestOf(job, begun) : requestOfPicture(job, index, begun);
  return write(request, { origin: new URL(".", location).href.slice(0, -1), keyed: Boolean(key()) });
}

function openKey() {
  byId("key-panel").showPopover();
  byId("key").focus();
}

byId("form").addEventListener("input", () => showProblem(null));
byId("key").value = key() ?? "";
byId("key").onchange = saveKey;
byId("key-form").onsubmit = (event) => {
  event.preventDefault();
  saveKey();
  byId("key-panel").hidePopover();
};

function saveKey() {
  const entered = byId("key").value.trim();
  if (entered === (key() ?? "")) return;
  if (entered) sessionStorage.setItem(KEY, entered);
  else sessionStorage.removeItem(KEY);
  showProblem(null);
  begin();
}

function say(words) {
  inFront(byId("status"));
  byId("status").textContent = words;
}

function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** On a phone the form and the gallery are above one another: the bar's button leads to the other. */
function leadAcross() {
  const jump = byId("jump");
  const middle = { rootMargin: "-50% 0px -50% 0px" };
  new IntersectionObserver((entries) => {
    const { isIntersecting } = entries.at(-1);
    jump.dataset.to = isIntersecting ? "gallery" : "form";
    byId("jump-text").textContent = isIntersecting ? "Gallery" : "Form";
  }, middle).observe(byId("form"));
  jump.onclick = () => lead(jump.dataset.to === "form" ? "form" : "gallery");
}

function lead(to) {
  if (to === "gallery") show("images");
  byId(to).scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
  (to === "gallery" ? firstTile() ?? byId("jobs") : byId("form").querySelector("[name=mode]:checked")).focus({ preventScroll: true });
}

const firstTile = () => document.querySelector("#jobs .tile:enabled");

leadAcross();
listen({ n: () => lead("form"), g: () => lead("gallery"), f: () => show("favourites") });
favourites.load();
begin();
