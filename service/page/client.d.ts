export function ended(job: {
    status: Status;
}): boolean;
/** What the server refused and why (RFC 9457); `status` 0 means that no server answered. */
export class Problem extends Error {
    /**
     * @param {{status: number, type?: string, title: string, detail?: string,
     *   errors?: {field: string, message: string}[], retryAfter?: ?number}} body
     */
    constructor({ status, type, title, detail, errors, retryAfter }: {
        status: number;
        type?: string;
        title: string;
        detail?: string;
        errors?: {
            field: string;
            message: string;
        }[];
        retryAfter?: number | null;
    });
    status: number;
    type: string;
    title: string;
    detail: string;
    errors: {
        field: string;
        message: string;
    }[];
    /** Seconds until it is worth asking again, if the server said so. @type {?number} */
    retryAfter: number | null;
}
export class Client {
    /**
     * @param {{base?: string, key?: () => ?string}} [options] `base`: the server's address, by default the page's own.
     *   `key` gives the API key, if there is one.
     */
    constructor({ base, key }?: {
        base?: string;
        key?: () => string | null;
    });
    /** The models on offer. @returns {Promise<Object[]>} */
    models(): Promise<any[]>;
    /** The newest jobs of the key. @param {number} [limit] @returns {Promise<Job[]>} rejected with a Problem without a valid key */
    jobs(limit?: number): Promise<Job[]>;
    /**
     * Whether jobs can be taken now, and the live workers of each model; a Problem if not, with status 503 while the
     * server itself answers.
     * @returns {Promise<{workers: Object<string, number>}>}
     */
    ready(): Promise<{
        workers: {
            [x: string]: number;
        };
    }>;
    /**
     * Ask for pictures. Tried twice more if there is no answer or the server is too busy; the idempotency key makes that one
     * job, not two.
     * @param {GenerateRequest} request the body of POST /generate
     * @returns {Promise<Job>}
     */
    submit(request: GenerateRequest): Promise<Job>;
    /**
     * Ask for the likelihood of an image; the job that has succeeded has it, and its image is a heat map. Tried as `submit`.
     * @param {ScoreRequest} request the body of POST /score
     * @returns {Promise<Job>}
     */
    score(request: ScoreRequest): Promise<Job>;
    /**
     * A job as it stands. Not from the browser's cache: a job's ETag stays while its place in the queue moves on.
     * @param {string | Job} job its id, or the job @returns {Promise<Job>}
     */
    job(job: string | Job): Promise<Job>;
    /** Stop a job; partial pictures stay. @param {Job} job @returns {Promise<Job>} the job afterwards */
    cancel(job: Job): Promise<Job>;
    /** Delete a job, its images and its events. One that does not exist any more is no error. @param {Job} job @returns {Promise<void>} */
    erase(job: Job): Promise<void>;
    /**
     * Where a picture lies. Keeps a signature that the URL carries.
     * @param {string} url from `images[].url` or a slice event
     * @param {{slices?: ?number, scale?: number, format?: string, size?: number, background?: string, ground?: string,
     *   glyph?: string, style?: string}} [options] `slices: null` is the latest, whatever number the URL itself names. With
     *   format svg, a size or colours it is an export of the final image
     */
    pictureUrl(url: string, options?: {
        slices?: number | null;
        scale?: number;
        format?: string;
        size?: number;
        background?: string;
        ground?: string;
        glyph?: string;
        style?: string;
    }): string;
    /**
     * Where the archive of a job's final images lies, or of one of them. Keeps the signature of the job's URLs.
     * @param {Job} job
     * @param {{set?: "sizes" | "web", index?: number, background?: string, ground?: string, glyph?: string, style?: string}} [options]
     */
    exportUrl(job: Job, options?: {
        set?: "sizes" | "web";
        index?: number;
        background?: string;
        ground?: string;
        glyph?: string;
        style?: string;
    }): string;
    /**
     * The file that lies at a picture's or an archive's URL.
     * @param {string} url @returns {Promise<Blob>} rejected with a Problem
     */
    file(url: string): Promise<Blob>;
    /**
     * Follow a job until it ends.
     * @param {Job} job
     * @param {Listener} listener
     * @returns {() => void} stops listening; the job itself goes on
     */
    watch(job: Job, listener: Listener): () => void;
    /**
     * The job once it has ended, whichever way.
     * @param {Job} job
     * @param {(job: Job) => void} [change] called with every change until then
     * @returns {Promise<Job>} rejected with a Problem if the job is gone or the key refused
     */
    finished(job: Job, change?: (job: Job) => void): Promise<Job>;
    /** Open the events of a job, if no stream is open in any tab. Without locks and in hidden tabs jobs are polled. @param {Watch} watch */
    stream(watch: Watch): Promise<void>;
    #private;
}
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
 */
export type Status = "queued" | "running" | "succeeded" | "failed" | "canceled";
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
 */
export type Picture = {
    index: number;
    seed: number;
    controls: {
        [x: string]: string | null;
    };
    width: number;
    height: number;
    slices_done: number;
    slices_total: number;
    candidates: number;
    final: boolean;
    score: number | null;
    url: string | null;
};
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
 */
export type Likelihood = {
    bits_per_dim: number;
    stages: {
        [x: string]: number;
    };
    slices: {
        stage: string;
        slice: number;
        bits: number;
    }[];
};
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
 */
export type Job = {
    id: string;
    task: "generate" | "score";
    status: Status;
    model: string;
    controls: any;
    seed: number;
    num_images: number;
    temperature: number | {
        base: number;
        size: number;
        depth: number;
    };
    guidance: number;
    candidates: number;
    start: {
        stage: "size" | "depth";
        slices: number;
    } | null;
    priority: "interactive" | "batch";
    metadata: any;
    created_at: string;
    started_at: string | null;
    finished_at: string | null;
    expires_at: string | null;
    queue_position: number | null;
    eta_seconds: number | null;
    progress: {
        stage: string;
        slices_done: number;
        slices_total: number;
        fraction: number;
    } | null;
    images: Picture[];
    likelihood: Likelihood | null;
    error: {
        title: string;
        detail: string;
    } | null;
    urls: {
        self: string;
        events: string;
        cancel: string;
    };
};
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
 */
export type GenerateRequest = {
    model?: string;
    num_images?: number;
    seed?: number;
    label?: string;
    controls?: {
        [x: string]: string;
    } | {
        [x: string]: string;
    }[];
    temperature?: number | {
        base?: number;
        size?: number;
        depth?: number;
    };
    guidance?: number;
    candidates?: number;
    start?: {
        stage: "size" | "depth";
        image: string;
    } | {
        job: string;
        index?: number;
        slices?: number;
        stage?: "size" | "depth";
    };
    webhook?: {
        url: string;
        events: ("started" | "slice" | "succeeded" | "failed" | "canceled")[];
    };
    metadata?: any;
};
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
 */
export type ScoreRequest = {
    image: string;
    model?: string;
    label?: string;
    controls?: {
        [x: string]: string;
    };
    priority?: "interactive" | "batch";
    webhook?: GenerateRequest["webhook"];
    metadata?: any;
};
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
 */
export type SliceEvent = {
    index: number;
    stage: string;
    slices_done: number;
    slices_total: number;
    url: string;
    score?: number;
};
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
 */
export type Listener = {
    change: (job: Job) => void;
    slice?: (event: SliceEvent, job: Job) => void;
    connection?: (state: "live" | "polling" | "away") => void;
    gone?: (problem: Problem) => void;
};
/** One job being followed: by events with a slow refresh beside them, or by polling alone. */
declare class Watch {
    /** @param {Client} client @param {Job} job @param {Listener} listener */
    constructor(client: Client, job: Job, listener: Listener);
    hide: () => void | Promise<void>;
    /** Whether a stream may be opened now: not after one that was refused a moment ago. */
    wantsStream(): boolean;
    stop(): void;
    stopped: boolean;
    source: EventSource;
    /**
     * @param {EventSource} source reconnects by itself; when it gives up, polling takes over until another one is opened
     * @returns {Promise<void>} settled when the source is closed
     */
    listen(source: EventSource): Promise<void>;
    retryStreamAt: number;
    release: (value: void | PromiseLike<void>) => void;
    /** Poll until the job ends; more often while no stream is open. @param {number} seconds first pause */
    poll(seconds: number): Promise<void>;
    turn: {};
    job: any;
    state: any;
    #private;
}
export {};
