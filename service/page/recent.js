/** The ids of this browser's jobs, newest first, kept across reloads; for each service of an origin. */

const KEY = `spn.jobs${new URL(".", location).pathname.slice(0, -1)}`;
const MOST = 24;

/** @returns {string[]} */
export function recentIds() {
  try {
    const ids = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
  } catch {
    return [];
  }
}

/** @param {string} id */
export const remember = (id) => store([id, ...recentIds().filter((known) => known !== id)]);

/** @param {string} id */
export const forget = (id) => store(recentIds().filter((known) => known !== id));

/** @param {string[]} ids all of them, newest first */
export const reorder = (ids) => store(ids);

function store(/** @type {string[]} */ ids) {
  try {
    localStorage.setItem(KEY, JSON.stringify(ids.slice(0, MOST)));
  } catch {
    // A browser that keeps nothing still has the page's own list until it is closed.
  }
}
