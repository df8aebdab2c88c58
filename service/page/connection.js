/** Whether the server and its store can be reached, asked now and then, and a banner that says so plainly when not. */

import { byId, element } from "./element.js";

const USUAL_SECONDS = 5;
const AWAY_SECONDS = 2;
const BACK_SECONDS = 4;

const AWAY = {
  device: ["This device is offline.", "Jobs go on without it, and their images come in as soon as it is back."],
  server: ["The server cannot be reached.", "What is here stays; accepted jobs go on. The page tries again."],
  store: ["The server's job store is not available.", "Nothing new can be taken now; accepted jobs are kept. The page tries again."],
};

export class Connection {
  #away = null;
  #timer = null;
  #workers = null;
  #asked = 0;

  /**
   * @param {import("./client.js").Client} client
   * @param {{back: () => void, changed: () => void}} page `back`: it is there again. `changed`: what `drawn` says may
   *   have changed
   */
  constructor(client, page) {
    Object.assign(this, { client, page });
    addEventListener("offline", () => this.check());
    addEventListener("online", () => this.check());
    document.addEventListener("visibilitychange", () => document.hidden || this.check());
    this.check();
  }

  /** Ask now, and from then on. */
  async check() {
    clearTimeout(this.#timer);
    const turn = ++this.#asked;
    const away = await this.client.ready().then(
      ({ workers }) => void (this.#workers = workers),
      ({ status }) => (!navigator.onLine ? "device" : status === 503 ? "store" : "server"));
    if (turn !== this.#asked) return;
    this.#turn(away ?? null);
    this.#timer = setTimeout(() => this.check(), (away ? AWAY_SECONDS : USUAL_SECONDS) * 1000);
  }

  /** Whether anybody draws `model` now; true as long as that is not known. @param {string} model */
  drawn(model) {
    return this.#workers === null || this.#workers[model] !== 0;
  }

  /** Jobs of the chosen model would only wait. @param {string} model */
  choose(model) {
    this.model = model;
    this.#say();
  }

  #turn(away) {
    const returned = this.#away && !away;
    this.#away = away;
    this.#say(returned);
    this.page.changed();
    if (returned) this.page.back();
  }

  #say(returned = false) {
    const banner = byId("banner");
    const alone = this.model && !this.drawn(this.model);
    const words = AWAY[this.#away]
      ?? (returned ? ["Connected again.", ""] : null)
      ?? (alone ? [`No worker runs ${this.model} now.`, "Jobs wait in the queue until one is started."] : null);
    const text = words?.join(" ") ?? "";
    if (banner.textContent === text) return;
    banner.dataset.state = this.#away ? "away" : returned ? "back" : "alone";
    banner.replaceChildren(...(words ? [element("strong", {}, words[0]), ` ${words[1]}`] : []));
    if (returned) setTimeout(() => this.#say(), BACK_SECONDS * 1000);
  }
}
