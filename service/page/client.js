/**
 * A small client for the image service: submit a request, follow its job, cancel it. One file without dependencies,
 * for browsers and for Node 20; it touches no page.
 *
 *     import { Client, Problem, ended } from "./client.js";
 *
 *     const client = new Client({ base: "http://localhost:8000", key: () => "the API key, if there is one" });
 *     const job = await client.submit({ label: "A", seed: 7 });
 *     const done = await client.finished(job, (job) => render(job.progress.fraction, job.images[0].url));
 *     const picture = client.pictureUrl(done.images[0].url, { scale: 8 });
 *
 * Exports: `Client` (models, ready, jobs, submit, score, job, finished, watch, cancel, erase, pictureUrl, exportUrl, file), `Problem` (what every method
 * throws), `ended` (whether a job can no longer change).
 *
 * `watch` listens to server-sent events, resumes them after a cut, and polls where there are none, as in Node; `change`
 * is called with the whole job every time. `finished` is the same as a promise.
 *
 * @typedef {"queued" | "running" | "succeeded" | "failed" | "canceled"} Status
 * @typedef {{index: number, seed: number, controls: Object<string, ?string>, width: number, height: number,
 *   slices_done: number, slices_total: number, candidates: number, final: boolean, score: ?number, url: ?string}} Picture
 * @typedef {{bits_per_dim: number, stages: Object<string, number>, slices: {stage: string, slice: number, bits: number}[]}} Likelihood
 * @typedef {{id: string, task: "generate" | "score", status: Status, model: string, controls: Object, seed: number, num_images: number,
 *   temperature: number | {base: number, size: number, depth: number}, guidance: number, candidates: number, start: ?{stage: "size" | "depth", slices: number}, priority: "interactive" | "batch", metadata: Object, created_at: string, started_at: ?string, finished_at: ?string,
 *   expires_at: ?string, queue_position: ?number, eta_seconds: ?number, progress: ?{stage: string, slices_done: number, slices_total: number, fraction: number},
 *   images: Picture[], likelihood: ?Likelihood, error: ?{title: string, detail: string},
 *   urls: {self: string, events: string, cancel: string}}} Job
 * @typedef {{model?: string, num_images?: number, seed?: number, label?: string, controls?: Object<string, string> | Object<string, string>[],
 *   temperature?: number | {base?: number, size?: number, depth?: number}, guidance?: number, candidates?: number,
 *   start?: {stage: "size" | "depth", image: string} | {job: string, index?: number, slices?: number, stage?: "size" | "depth"},
 *   webhook?: {url: string, events: ("started" | "slice" | "succeeded" | "failed" | "canceled")[]}, metadata?: Object}} GenerateRequest
 * @typedef {{image: string, model?: string, label?: string, controls?: Object<string, string>, priority?: "interactive" | "batch",
 *   webhook?: GenerateRequest["webhook"], metadata?: Object}} ScoreRequest
 * @typedef {{index: number, stage: string, slices_done: number, slices_total: number, url: string, score?: number}} SliceEvent
 * @typedef {{change: (job: Job) => void, slice?: (event: SliceEvent, job: Job) => void,
 *   connection?: (state: "live" | "polling" | "away") => void, gone?: (problem: Problem) => void}} Listener
 */

/**
 * The lock of the one tab that has an event stream open. Browsers allow six connections to one HTTP/1.1 host over all
 * tabs; images, submissions and polls need the others.
 */
const STREAM_LOCK = "spn.stream";
const POLL_SECONDS = 1;
const REFRESH_SECONDS = 3;
const LONGEST_PAUSE_SECONDS = 10;
const READY_SECONDS = 8;
const SUBMIT_RETRIES = 2;
const LONGEST_SUBMIT_PAUSE_SECONDS = 5;
/** What passes by itself: no answer, too many requests, a server that is away or full. */
const PASSING = [0, 429, 502, 503, 504];

/** Whether a job can no longer change. @param {{status: Status}} job */
export const ended = (job) => ["succeeded", "failed", "canceled"].includes(job.status);

/** What the server refused and why (RFC 9457); `status` 0 means that no server answered. */
export class Problem extends Error {
  /**
   * @param {{status: number, type?: string, title: string, detail?: string,
   *   errors?: {field: string, message: string}[], retryAfter?: ?number}} body
   */
  constructor({ status, type = "about:blank", title, detail = "", errors = [], retryAfter = null }) {
    super(detail ? `${title}: ${detail}` : title);
    this.name = "Problem";
    this.status = status;
    this.type = type;
    this.title = title;
    this.detail = detail;
    this.errors = errors;
    /** Seconds until it is worth asking again, if the server said so. @type {?number} */
    this.retryAfter = retryAfter;
  }
}

export class Client {
  #base;
  #key;

  /**
   * @param {{base?: string, key?: () => ?string}} [options] `base`: the server's address, by default the page's own.
   *   `key` gives the API key, if there is one.
   */
  constructor({ base = globalThis.location?.origin, key = () => null } = {}) {
    if (!base) throw new TypeError("outside a page, say where the server is: new Client({ base })");
    this.#base = base.endsWith("/") ? base : `${base}/`;
    this.#key = key;
  }

  /** The models on offer. @returns {Promise<Object[]>} */
  async models() {
    return (await this.#fetch("models")).models;
  }

  /** The newest jobs of the key. @param {number} [limit] @returns {Promise<Job[]>} rejected with a Problem without a valid key */
  async jobs(limit = 1) {
    return (await this.#fetch(`jobs?limit=${limit}`)).jobs;
  }

  /**
   * Whether jobs can be taken now, and the live workers of each model; a Problem if not, with status 503 while the
   * server itself answers.
   * @returns {Promise<{workers: Object<string, number>}>}
   */
  ready() {
    return this.#fetch("readyz", { cache: "no-store", signal: AbortSignal.timeout(READY_SECONDS * 1000) });
  }

  /**
   * Ask for pictures. Tried twice more if there is no answer or the server is too busy; the idempotency key makes that one
   * job, not two.
   * @param {GenerateRequest} request the body of POST /generate
   * @returns {Promise<Job>}
   */
  submit(request) {
    return this.#submit("generate", request);
  }

  /**
   * Ask for the likelihood of an image; the job that has succeeded has it, and its image is a heat map. Tried as `submit`.
   * @param {ScoreRequest} request the body of POST /score
   * @returns {Promise<Job>}
   */
  score(request) {
    return this.#submit("score", request);
  }

  async #submit(path, request) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const key = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
    for (let tries = 0; ; tries++) {
      try {
        return await this.#fetch(path, { method: "POST", headers, body: JSON.stringify(request) });
      } catch (problem) {
        if (tries === SUBMIT_RETRIES || !PASSING.includes(problem.status)) throw problem;
        await pause(Math.min(problem.retryAfter ?? 1, LONGEST_SUBMIT_PAUSE_SECONDS));
      }
    }
  }

  /**
   * A job as it stands. Not from the browser's cache: a job's ETag stays while its place in the queue moves on.
   * @param {string | Job} job its id, or the job @returns {Promise<Job>}
   */
  job(job) {
    const path = typeof job === "string" ? `jobs/${encodeURIComponent(job)}` : job.urls.self;
    return this.#fetch(path, { cache: "no-store" });
  }

  /** Stop a job; partial pictures stay. @param {Job} job @returns {Promise<Job>} the job afterwards */
  async cancel(job) {
    await this.#fetch(job.urls.cancel, { method: "DELETE" });
    return this.job(job);
  }

  /** Delete a job, its images and its events. One that does not exist any more is no error. @param {Job} job @returns {Promise<void>} */
  async erase(job) {
    await this.#fetch(`jobs/${encodeURIComponent(job.id)}?erase=true`, { method: "DELETE" });
  }

  /**
   * Where a picture lies. Keeps a signature that the URL carries.
   * @param {string} url from `images[].url` or a slice event
   * @param {{slices?: ?number, scale?: number, format?: string, size?: number, background?: string, ground?: string,
   *   glyph?: string, style?: string}} [options] `slices: null` is the latest, whatever number the URL itself names. With
   *   format svg, a size or colours it is an export of the final image
   */
  pictureUrl(url, options = {}) {
    const picture = new URL(url, this.#base);
    for (const [name, value] of Object.entries(options)) {
      if (value === null) picture.searchParams.delete(name);
      else if (value !== undefined) picture.searchParams.set(name, value);
    }
    return picture.href;
  }

  /**
   * Where the archive of a job's final images lies, or of one of them. Keeps the signature of the job's URLs.
   * @param {Job} job
   * @param {{set?: "sizes" | "web", index?: number, background?: string, ground?: string, glyph?: string, style?: string}} [options]
   */
  exportUrl(job, options = {}) {
    const events = new URL(job.urls.events, this.#base);
    return this.pictureUrl(new URL(`export.zip${events.search}`, events), options);
  }

  /**
   * The file that lies at a picture's or an archive's URL.
   * @param {string} url @returns {Promise<Blob>} rejected with a Problem
   */
  async file(url) {
    return (await this.#response(url, { headers: { Accept: "*/*" } })).blob();
  }

  /**
   * Follow a job until it ends.
   * @param {Job} job
   * @param {Listener} listener
   * @returns {() => void} stops listening; the job itself goes on
   */
  watch(job, listener) {
    const watch = new Watch(this, job, listener);
    if (ended(job)) listener.change(job);
    else watch.poll(POLL_SECONDS);
    return () => watch.stop();
  }

  /**
   * The job once it has ended, whichever way.
   * @param {Job} job
   * @param {(job: Job) => void} [change] called with every change until then
   * @returns {Promise<Job>} rejected with a Problem if the job is gone or the key refused
   */
  finished(job, change = () => {}) {
    return new Promise((resolve, reject) => {
      const changed = (job) => {
        change(job);
        if (ended(job)) resolve(job);
      };
      this.watch(job, { change: changed, gone: reject });
    });
  }

  /** Open the events of a job, if no stream is open in any tab. Without locks and in hidden tabs jobs are polled. @param {Watch} watch */
  async stream(watch) {
    if (typeof EventSource !== "function" || !globalThis.navigator?.locks) return;
    const open = (lock) => lock && watch.wantsStream()
      && watch.listen(new EventSource(new URL(watch.job.urls.events, this.#base)));
    await navigator.locks.request(STREAM_LOCK, { ifAvailable: true }, open).catch(() => {});
  }

  async #fetch(path, options = {}) {
    const response = await this.#response(path, options);
    const body = await response.json().catch(() => null);
    if (body !== null || options.method === "DELETE") return body;
    throw new Problem({ title: "The answer cannot be read", status: response.status });
  }

  async #response(path, { headers = {}, ...options } = {}) {
    const key = this.#key();
    const authorization = key ? { Authorization: `Bearer ${key}` } : {};
    const request = { ...options, headers: { Accept: "application/json", ...headers, ...authorization } };
    const response = await fetch(new URL(path, this.#base), request).catch(() => {
      throw new Problem({ status: 0, title: "The server is away", detail: "No answer came back." });
    });
    if (response.ok) return response;
    const body = await response.json().catch(() => null);
    const retryAfter = Number(response.headers.get("Retry-After")) || null;
    throw new Problem({ title: response.statusText || `HTTP ${response.status}`, ...body, status: response.status, retryAfter });
  }
}

/** One job being followed: by events with a slow refresh beside them, or by polling alone. */
class Watch {
  /** @param {Client} client @param {Job} job @param {Listener} listener */
  constructor(client, job, listener) {
    Object.assign(this, { client, job, listener, stopped: false, source: null, retryStreamAt: 0 });
    this.hide = () => hidden() ? this.#close() : this.poll(0);
    globalThis.document?.addEventListener("visibilitychange", this.hide);
  }

  /** Whether a stream may be opened now: not after one that was refused a moment ago. */
  wantsStream() {
    return !this.stopped && !this.source && !hidden() && Date.now() >= this.retryStreamAt;
  }

  stop() {
    if (this.stopped) return;
    this.stopped = true;
    this.#close();
    globalThis.document?.removeEventListener("visibilitychange", this.hide);
  }

  #close() {
    this.source?.close();
    this.source = null;
    this.release?.();
  }

  /**
   * @param {EventSource} source reconnects by itself; when it gives up, polling takes over until another one is opened
   * @returns {Promise<void>} settled when the source is closed
   */
  listen(source) {
    this.source = source;
    const on = (name, act) => source.addEventListener(name, (event) => !this.stopped && act(event));
    on("open", () => this.#connection("live"));
    on("error", () => {
      if (source.readyState !== EventSource.CLOSED) return this.#connection("away");
      this.retryStreamAt = Date.now() + LONGEST_PAUSE_SECONDS * 1000;
      this.#close();
      this.#connection("polling");
    });
    on("slice", (event) => this.#slice(JSON.parse(event.data)));
    on("status", () => this.#refresh());
    on("restarted", () => this.#refresh({ replace: true }));
    for (const name of ["succeeded", "failed", "canceled"]) {
      on(name, () => {
        this.retryStreamAt = Infinity;
        this.#close();
        this.poll(0);
      });
    }
    return new Promise((release) => (this.release = release));
  }

  /** Poll until the job ends; more often while no stream is open. @param {number} seconds first pause */
  async poll(seconds) {
    const turn = (this.turn = {});
    for (let wait = seconds; ; ) {
      if (this.wantsStream()) this.client.stream(this);
      await pause(wait);
      if (this.stopped || this.turn !== turn) return;
      const answered = await this.#refresh();
      const usual = this.#streaming() || hidden() ? REFRESH_SECONDS : POLL_SECONDS;
      wait = answered ? usual : Math.min(Math.max(wait, POLL_SECONDS) * 2, LONGEST_PAUSE_SECONDS);
    }
  }

  /** @returns {Promise<boolean>} whether the server answered */
  async #refresh({ replace = !this.#streaming() } = {}) {
    try {
      const job = await this.client.job(this.job);
      if (!this.stopped) this.#take(replace || ended(job) ? job : newest(this.job, job));
      return true;
    } catch (problem) {
      if ([401, 403, 404].includes(problem.status)) this.#gone(problem);
      else this.#connection("away");
      return false;
    }
  }

  #take(job) {
    this.job = job;
    this.#connection(this.#streaming() ? "live" : "polling");
    if (ended(job)) this.stop();
    this.listener.change(job);
  }

  /** A stream begins with what is long known, so only what is further on counts. @param {SliceEvent} event */
  #slice(event) {
    const { index, slices_done, slices_total, url, score = this.job.images[index].score } = event;
    if (slices_done <= this.job.images[index].slices_done) return;
    const further = { slices_done, url, score, final: slices_done === slices_total };
    const images = this.job.images.map((image) => (image.index === index ? { ...image, ...further } : image));
    this.job = { ...this.job, status: "running", progress: progressOf(images, event), images };
    this.listener.slice?.(event, this.job);
    this.listener.change(this.job);
  }

  #streaming() {
    return this.source !== null && this.source.readyState === EventSource.OPEN;
  }

  #connection(state) {
    if (state === this.state || this.stopped) return;
    this.state = state;
    this.listener.connection?.(state);
    if (state === "polling") this.poll(POLL_SECONDS);
  }

  #gone(problem) {
    if (this.stopped) return;
    this.stop();
    this.listener.gone?.(problem);
  }
}

/** How far all pictures are together, at the stage of the latest event; each further candidate of a base slice counts. */
function progressOf(/** @type {Picture[]} */ images, /** @type {SliceEvent} */ { stage, slices_total: each }) {
  const slices_done = images.reduce((sum, { slices_done, candidates }) => sum + slices_done + (slices_done && candidates - 1), 0);
  const slices_total = images.reduce((sum, { candidates }) => sum + each + candidates - 1, 0);
  return { stage, slices_done, slices_total, fraction: slices_done / slices_total };
}

/** A poll may be older than the events that overtook it: keep the picture that is further on. */
function newest(/** @type {Job} */ known, /** @type {Job} */ polled) {
  const images = polled.images.map((image, i) =>
    known.images[i]?.slices_done > image.slices_done ? known.images[i] : image);
  const further = known.progress.fraction > polled.progress.fraction ? known.progress : polled.progress;
  return { ...polled, progress: further, images };
}

const hidden = () => globalThis.document?.hidden === true;
const pause = (/** @type {number} */ seconds) => new Promise((resume) => setTimeout(resume, seconds * 1000));
