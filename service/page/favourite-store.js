/** Favourite images in this browser's database, with all that is needed when the server has forgotten them. */

const STORE = "favourites";

/**
 * @typedef {{id: string, name: string, saved: number, controls: Object<string, ?string>, seed: number, request: Object,
 *   png: Blob, svg: ?string}} Favourite `png`: the pixels; `svg`: the vector form in its own colours, null if the server
 *   could not make it
 */

/** The id of an image of a job. @param {import("./client.js").Job} job @param {number} index */
export const favouriteId = (job, index) => `${job.id}-${index}`;

export class FavouriteStore {
  /** @returns {Promise<Favourite[]>} the newest first */
  async all() {
    const found = await this.#run("readonly", (store) => store.getAll());
    return found.sort((a, b) => b.saved - a.saved);
  }

  /** Keep a favourite, or replace the one of its id. @param {Favourite} favourite */
  put(favourite) {
    navigator.storage?.persist?.().catch(() => {}); // else the browser may clear it when its disk is full
    return this.#run("readwrite", (store) => store.put(favourite));
  }

  /** @param {string} id */
  remove(id) {
    return this.#run("readwrite", (store) => store.delete(id));
  }

  async #run(mode, act) {
    this.opened ??= settled(open());
    const transaction = (await this.opened).transaction(STORE, mode);
    const result = await settled(act(transaction.objectStore(STORE)));
    if (mode === "readwrite") await new Promise((resolve, reject) => Object.assign(transaction, { oncomplete: resolve, onabort: () => reject(transaction.error) }));
    return result;
  }
}

function open() {
  const request = indexedDB.open("subscale", 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
  return request;
}

const settled = (request) => new Promise((resolve, reject) => Object.assign(request, {
  onsuccess: () => resolve(request.result), onerror: () => reject(request.error),
}));
