// Stripes: padding gets them, and what is never read gets crossed ones; so do holes.

import { token } from "./theme.js";

/** The parts of a picture that are not simply there. @param {import("./grid.js").Picture} picture */
export function hatch(pen, { rows, cols, cell, inner, read, plot = 0 }) {
  const [width, height] = [cols * cell, rows * cell];
  const put = ([x, y, w, h], step) => w > 0 && h > 0 && stripes(pen, x, plot + y, w, h, step);
  if (inner) {
    const [top, left, n, m] = inner.map((v) => v * cell);
    const step = Math.max(4, Math.min(7, cell / 3));
    put([0, 0, width, top], step);
    put([0, top + n, width, height - top - n], step);
    put([0, top, left, n], step);
    put([left + m, top, width - left - m, n], step);
  }
  if (read) {
    const [n, m] = read.map((v) => v * cell);
    for (const step of [5, -5]) {
      put([m, 0, width - m, height], step);
      put([0, n, m, height - n], step);
    }
  }
}

/** Slanted lines within a rectangle; a negative step slants them the other way. */
export function stripes(pen, x, y, width, height, step) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  pen.strokeStyle = token("--hatch");
  pen.globalAlpha = 0.55;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let d = -height; d < width; d += Math.abs(step)) {
    pen.moveTo(x + d, step > 0 ? y + height : y);
    pen.lineTo(x + d + height, step > 0 ? y : y + height);
  }
  pen.stroke();
  pen.restore();
}
