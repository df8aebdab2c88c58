/** The playground page: the form, the jobs of this browser, and what joins them to the server. */

import { Client, ended } from "./client.js";
import { Composer, LARGEST_SEED } from "./composer.js";
import { button, byId, element } from "./element.js";
import { JobCard, plural, problemParts } from "./job-card.js";
import { forget, recentIds, remember } from "./recent.js";
import { asCurl, asJavaScript, copy, requestOf, requestOfPicture } from "./snippets.js";
import { Viewer } from "./viewer.js";

const KEY = "spn.key";
const RETRY_SECONDS = 4;

const key = () => sessionStorage.getItem(KEY);
const client = new Client({ key });
/**
 * Every card on the page by job id, with what stops its listening.
 * @type {Map<string, {card: JobCard, stop: () => void}>}
 */
const jobs = new Map();
const slicesByModel = new Map();

const actions = {
  client,
  slicesOf: ({ model }) => slicesByModel.get(model) ?? null,
  open: (card, index) => viewer.open(card, index),
  cancel,
  again: (job) => {
    const next = job.seed + job.num_images;
    submit({ ...requestOf(job), seed: next <= LARGEST_SEED ? next : 0 });
  },
  reuse: (job) => {
    composer.reuse(job);
    byId("generate").focus();
    say(`Settings of seed ${job.seed} are in the form.`);
  },
  copyCurl: (job, from, index) => copyFrom(from, asCurl, job, index),
  copyJavaScript: (job, from, index) => copyFrom(from, asJavaScript, job, index),
  remove: (card) => {
    drop(card.job.id);
    byId("jobs").focus();
  },
};
const composer = new Composer(submit);
const viewer = new Viewer(actions);

async function submit(request) {
  showProblem(null);
  composer.busy(true);
  try {
    const job = await client.submit(request);
    remember(job.id);
    const card = show(job, "first");
    if (!("seed" in request)) composer.drawn(job.seed);
    card.node.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
  } catch (problem) {
    showProblem(problem);
  } finally {
    composer.busy(false);
  }
}

/** Put a job on the page and follow it until it ends. @returns {JobCard} */
function show(job, place) {
  drop(job.id, { keep: true });
  const card = new JobCard(job, actions);
  if (place === "first") byId("jobs").prepend(card.node);
  else byId("jobs").append(card.node);
  byId("empty").hidden = true;
  jobs.set(job.id, { card, stop: () => {} });
  if (!ended(job)) jobs.get(job.id).stop = follow(card);
  return card;
}

function follow(card) {
  let said = "";
  return client.watch(card.job, {
    slice: (event) => card.slice(event),
    change: (job) => {
      card.update(job);
      viewer.follow(card);
      const words = milestone(card);
      if (words !== said) say(words);
      said = words;
    },
    connection: (state) => card.say(state),
    gone: (problem) => (problem.status === 404 ? drop(card.job.id) : showProblem(problem)),
  });
}

/** Worth telling a listener: each state, and each quarter of the way. */
function milestone(card) {
  const { status, num_images, error } = card.job;
  if (status === "running") return `Generating, ${Math.floor(card.fraction() * 4) * 25} percent`;
  if (status === "failed") return `Failed. ${error?.title ?? ""}`;
  const words = { queued: "Queued", succeeded: `Finished, ${plural(num_images, "picture")}`, canceled: "Cancelled" };
  return words[status];
}

async function cancel(card) {
  try {
    const job = await client.cancel(card.job);
    card.update(job);
    if (ended(job)) jobs.get(job.id)?.stop();
  } catch (problem) {
    showProblem(problem);
  }
}

function drop(id, { keep = false } = {}) {
  jobs.get(id)?.stop();
  jobs.get(id)?.card.node.remove();
  jobs.delete(id);
  if (!keep) forget(id);
  byId("empty").hidden = jobs.size > 0;
}

/** Jobs of an earlier visit, in their order; those the server no longer knows are forgotten. */
async function restore() {
  const known = recentIds().filter((id) => !jobs.has(id));
  const answers = await Promise.all(known.map((id) => client.job(id).catch((problem) => problem)));
  answers.forEach((answer, i) => {
    if (answer.status === 404) forget(known[i]);
    else if (answer.urls) show(answer, "last");
  });
  byId("empty").hidden = jobs.size > 0;
}

/** Ask for the models until there are some, and say plainly why there are none yet. */
async function start() {
  try {
    const models = await client.models();
    notice(models.length ? null : NO_MODEL);
    if (!models.length) return;
    for (const { name, slices } of models) if (Number.isInteger(slices)) slicesByModel.set(name, slices);
    composer.offer(models);
    await restore();
  } catch (problem) {
    if ([401, 403].includes(problem.status)) return notice(KEY_WANTED, openKey, "Enter key");
    const { title, detail } = asProblem(problem);
    notice({ title, detail: `${detail} Trying again by itself.` }, start, "Try now");
    retry();
  }
}

const NO_MODEL = { title: "No model is configured", detail: "The server runs, but has no weights to sample from." };
const KEY_WANTED = { title: "This server asks for an API key", detail: "Enter it under “API key”." };

let timer;
function retry() {
  clearTimeout(timer);
  timer = setTimeout(start, RETRY_SECONDS * 1000);
}

function notice(problem, act, words) {
  byId("notice").hidden = !problem;
  if (!problem) return byId("notice").replaceChildren();
  byId("empty").hidden = true;
  byId("generate").disabled = true;
  if (!composer.models) byId("controls").replaceChildren();
  byId("notice").replaceChildren(...problemParts(problem), ...(act ? [button(words, act)] : []));
  say(problem.title);
}

function showProblem(problem) {
  byId("form-error").hidden = !problem;
  byId("form-error").replaceChildren(...(problem ? problemParts(asProblem(problem)) : []));
  if ([401, 403].includes(problem?.status)) openKey();
}

const asProblem = ({ title = "Something went wrong", detail, message, errors }) =>
  ({ title, detail: detail ?? message, errors });

async function copyFrom(from, write, job, index) {
  const request = index === undefined ? requestOf(job) : requestOfPicture(job, index);
  const words = from.textContent;
  const code = write(request, { origin: location.origin, keyed: Boolean(key()) });
  const done = await copy(code).then(() => "Copied", () => "Could not copy");
  if (words !== done) from.replaceChildren(element("span", {}, done));
  setTimeout(() => (from.textContent = words), 1600);
  say(done);
}

function openKey() {
  byId("key-panel").showPopover();
  byId("key").focus();
}

byId("form").addEventListener("input", () => showProblem(null));
byId("key").value = key() ?? "";
byId("key").onchange = saveKey;
byId("key").onkeydown = (event) => {
  if (event.key !== "Enter") return;
  saveKey();
  byId("key-panel").hidePopover();
};

function saveKey() {
  const entered = byId("key").value.trim();
  if (entered === (key() ?? "")) return;
  if (entered) sessionStorage.setItem(KEY, entered);
  else sessionStorage.removeItem(KEY);
  showProblem(null);
  start();
}

const say = (words) => (byId("status").textContent = words);
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

start();
