// Values as colours. Signed values are symmetric about 0, so that zeros vanish in the panel.

import { berlin, cividis, inferno, vik } from "./maps.js";
import { theme } from "./theme.js";

const decoded = new Map();

/** A table of 256 colours as bytes. */
export function table(text) {
  if (!decoded.has(text))
    decoded.set(
      text,
      Uint8Array.from(atob(text), (c) => c.charCodeAt(0)),
    );
  return decoded.get(text);
}

const greys = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));

/** @typedef {{kind: "signed"|"grey"|"count"|"heat", low: number, high: number}} Scale */

/** The smallest and largest finite value. */
export function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < values.length; i += 1) {
    const v = values[i];
    if (v < low && v !== -Infinity) low = v;
    if (v > high && v !== Infinity) high = v;
  }
  return low <= high ? [low, high] : [0, 0];
}

/** Signed: as far down as up. @returns {Scale} */
export function signedScale(...arrays) {
  const most = Math.max(
    ...arrays.map((a) => {
      const [l, u] = extent(a);
      return Math.max(-l, u);
    }),
    1e-30,
  );
  return { kind: "signed", low: -most, high: most };
}

/** Grey, from the least to the largest. @returns {Scale} */
export function greyScale(...arrays) {
  const ends = arrays.map(extent);
  const low = Math.min(...ends.map((e) => e[0]));
  const high = Math.max(...ends.map((e) => e[1]));
  return { kind: "grey", low, high: high > low ? high : low + 1 };
}

/** The table that a scale uses in this theme. */
export function tableOf(scale) {
  if (scale.kind === "grey") return greys;
  if (scale.kind === "count") return table(cividis);
  if (scale.kind === "heat") return table(inferno);
  return table(theme() === "dark" ? berlin : vik);
}

/** Place of a value in the table, 0 ... 255. */
export function place(scale, value) {
  const share = (value - scale.low) / (scale.high - scale.low);
  return Math.min(255, Math.max(0, Math.round(255 * share)));
}

/** A value as [r, g, b]. */
export function colourOf(scale, value) {
  const at = 3 * place(scale, value);
  const colours = tableOf(scale);
  return [colours[at], colours[at + 1], colours[at + 2]];
}

/** Black or white, whichever can be read on it: one of them always has a contrast of 4.5. */
export function inkOn([r, g, b]) {
  const linear = (v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const bright = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  return bright > 0.179 ? "#000000" : "#ffffff";
}
