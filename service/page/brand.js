/** The colours of a brand: chosen once, kept in this browser, shown and downloaded instead of an image's own. */

import { byId } from "./element.js";

const KEY = "spn.brand";
const PARTS = ["ground", "glyph"];
const HEX = /^#?([0-9a-f]{6})$/i;

/** @typedef {{ground?: string, glyph?: string}} Colours of tile and symbol, as #rrggbb */

export class Brand {
  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    const { on = false, ground = "#2f5bea", glyph = "#ffffff" } = stored();
    Object.assign(this, { on, ground, glyph });
    byId("brand").checked = on;
    byId("brand").onchange = () => this.#set({ on: byId("brand").checked });
    for (const part of PARTS) {
      const [picker, text] = [byId(`brand-${part}`), byId(`brand-${part}-hex`)];
      picker.onchange = () => this.#set({ [part]: picker.value });
      text.onchange = () => {
        const [, digits] = HEX.exec(text.value.trim()) ?? [];
        text.ariaInvalid = digits ? null : "true";
        if (digits) this.#set({ [part]: `#${digits.toLowerCase()}` });
      };
    }
    this.#show();
  }

  /** @returns {Colours} none while they are switched off */
  get colours() {
    return this.on ? { ground: this.ground, glyph: this.glyph } : {};
  }

  #set(some) {
    Object.assign(this, some);
    const { on, ground, glyph } = this;
    try {
      localStorage.setItem(KEY, JSON.stringify({ on, ground, glyph }));
    } catch {
      // They hold until the page is closed.
    }
    this.#show();
    this.changed();
  }

  #show() {
    byId("brand-colours").hidden = !this.on;
    for (const part of PARTS) {
      byId(`brand-${part}`).value = byId(`brand-${part}-hex`).value = this[part];
      byId(`brand-${part}-hex`).ariaInvalid = null;
    }
  }
}

function stored() {
  try {
    const { on, ground, glyph } = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return HEX.test(ground) && HEX.test(glyph) ? { on: Boolean(on), ground, glyph } : {};
  } catch {
    return {};
  }
}
