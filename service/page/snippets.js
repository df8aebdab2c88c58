/** A job's request as code to paste: the exact request that gives the same images again. */

const QUOTE = /'/g;

/**
 * The body of POST /generate that reproduces a job, its seed included.
 * @param {import("./client.js").Job} job @param {?import("./start-picture.js").Start} [start] what it began with
 */
export function requestOf({ model, num_images, seed, controls, temperature, guidance, candidates }, start = null) {
  const chosen = Array.isArray(controls) ? controls.map(given) : given(controls);
  const begun = start ? { start } : {};
  return { model, num_images, seed, controls: chosen, temperature, guidance, candidates, ...begun };
}

/** A job's temperature as a person reads it: one number, or those of base, size and depth. */
export const temperatureWords = (/** @type {number | Object<string, number>} */ temperature) =>
  typeof temperature === "number" ? String(temperature) : Object.values(temperature).join(" / ");

const given = (/** @type {?Object<string, ?string>} */ controls) =>
  Object.fromEntries(Object.entries(controls ?? {}).filter(([, value]) => value !== null));

/**
 * The request for one image of a job alone: image i of seed s is the only image of seed s + i.
 * @param {import("./client.js").Job} job @param {number} index @param {?import("./start-picture.js").Start} [start]
 */
export const requestOfPicture = (job, index, start = null) =>
  requestOf({ ...job, num_images: 1, seed: job.images[index].seed, controls: job.images[index].controls }, start);

/** @param {Object} request @param {{origin: string, keyed: boolean}} where @returns {string} */
export function asCurl(request, { origin, keyed }) {
  const authorization = keyed ? " \\\n  -H \"authorization: Bearer $SPN_KEY\"" : "";
  const body = JSON.stringify(request).replace(QUOTE, "'\\''");
  const type = "-H 'content-type: application/json'";
  return `curl -X POST ${origin}/generate \\\n  ${type}${authorization} \\\n  -d '${body}'\n`;
}

/** @param {Object} request @param {{origin: string, keyed: boolean}} where @returns {string} */
export function asJavaScript(request, { origin, keyed }) {
  const authorization = keyed ? ", authorization: `Bearer ${apiKey}`" : "";
  return `${keyed ? 'const apiKey = "...";\n' : ""}const server = "${origin}";
const headers = { "content-type": "application/json"${authorization} };
const body = JSON.stringify(${JSON.stringify(request, null, 2)});

const call = async (url, options) => {
  for (;;) {
    const [response, body] = await fetch(url, options).then(async (r) => [r, await r.json()]).catch(() => []);
    if (response?.ok) return body;
    const passing = !response || [429, 502, 503, 504].includes(response.status); // busy, or the server restarts
    if (!passing) throw new Error(body.title + ": " + body.detail);
    await new Promise((resume) => setTimeout(resume, 1000 * (response?.headers.get("Retry-After") ?? 1)));
  }
};
headers["idempotency-key"] = crypto.randomUUID();
let job = await call(server + "/generate", { method: "POST", headers, body });
while (!job.finished_at) {
  const url = new URL(job.urls.self, server);
  url.searchParams.set("wait", 30);
  job = await call(url, { headers });
}
if (job.status !== "succeeded") throw new Error(job.error?.detail ?? job.status);
const images = job.images.map((image) => new URL(image.url, server).href);
console.log(images);
`;
}

/** Put text on the clipboard, also where a page without TLS may not use the modern way. @param {string} text */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("the browser refused");
}
