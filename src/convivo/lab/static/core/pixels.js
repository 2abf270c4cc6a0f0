// An image of values, one pixel each, for grids whose cells are too small to be drawn one by one.

import { tableOf } from "./colour.js";

/** The colours of a scale as 32-bit pixels. */
function words(scale) {
  const colours = tableOf(scale);
  const bytes = new Uint8ClampedArray(4 * 256).fill(255);
  for (let i = 0; i < 256; i += 1) bytes.set(colours.subarray(3 * i, 3 * i + 3), 4 * i);
  return new Uint32Array(bytes.buffer);
}

/**
 * A canvas of cols x rows pixels; transparent where `empty` is set, and where there is no number.
 * @param {ArrayLike<number>} values
 */
export function pixels(values, rows, cols, scale, empty) {
  const image = new ImageData(cols, rows);
  const target = new Uint32Array(image.data.buffer);
  const colours = words(scale);
  const factor = 255 / (scale.high - scale.low);
  for (let i = 0; i < target.length; i += 1) {
    const value = values[i];
    if (Number.isNaN(value) || empty?.[i]) continue;
    const at = Math.round((value - scale.low) * factor);
    target[i] = colours[at < 0 ? 0 : at > 255 ? 255 : at];
  }
  const canvas = new OffscreenCanvas(cols, rows);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
