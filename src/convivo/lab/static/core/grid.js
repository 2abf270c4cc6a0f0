// A grid of values on a canvas: cells in colour, with numbers where they fit; a second canvas above
// it for what changes with the pointer, so that hovering draws a few outlines and nothing else.

import { colourOf, inkOn } from "./colour.js";
import { h } from "./dom.js";
import { hatch, stripes } from "./hatch.js";
import { drawMark } from "./marks.js";
import { brief } from "./numbers.js";
import { pixels } from "./pixels.js";
import { theme, token } from "./theme.js";

const READABLE = 18; // px of a cell that can hold a number
const WIDEST = 32000; // px; browsers draw nothing on a larger canvas

/**
 * @typedef {object} Picture
 * @property {number} rows
 * @property {number} cols
 * @property {ArrayLike<number>} values   row by row
 * @property {import("./colour.js").Scale} scale
 * @property {number} cell                px of a cell, may be a fraction
 * @property {number[]} [inner]           [top, left, rows, cols] of what is no padding
 * @property {number[]} [read]            [rows, cols] that are read; the rest is cross-hatched
 * @property {Uint8Array} [empty]         1 where nothing stands (yet)
 * @property {number} [plot]              px of a curve above a single row
 * @property {boolean} [numbers]          false: no numbers in cells
 */

export class Grid {
  /**
   * @param {string} label  for readers; a grid whose cells can be pinned is a stop of the keyboard
   * @param {{hover?: (cell: number[]|null) => void, pin?: (cell: number[]) => void}} [on]
   */
  constructor(label, on = {}) {
    this.base = document.createElement("canvas");
    this.over = document.createElement("canvas");
    const stop = on.pin ? { tabindex: 0, role: "application" } : { role: "img" };
    const named = { "aria-label": label, "aria-roledescription": "grid of values" };
    this.element = h("div", { class: "grid", ...stop, ...named }, this.base, this.over);
    this.key = "";
    this.picture = null;
    this.pending = null;
    this.element.addEventListener("pointermove", (e) => on.hover?.(this.cellAt(e)));
    this.element.addEventListener("pointerleave", () => on.hover?.(null));
    this.element.addEventListener("click", (e) => {
      const cell = this.cellAt(e);
      if (cell) on.pin?.(cell);
    });
  }

  /** The cell under the pointer, [row, col], or null. */
  cellAt(event) {
    const p = this.picture;
    if (!p) return null;
    const box = this.element.getBoundingClientRect();
    const col = Math.floor((event.clientX - box.left) / p.cell);
    const row = p.plot ? 0 : Math.floor((event.clientY - box.top) / p.cell);
    return row >= 0 && col >= 0 && row < p.rows && col < p.cols ? [row, col] : null;
  }

  /** Draw a picture and its marks; what has not changed stays. @param {Picture} picture @param {import("./marks.js").Mark[]} marks */
  draw(picture, marks = []) {
    const { scale } = picture;
    const key = [
      picture.rows,
      picture.cols,
      picture.cell,
      picture.inner,
      picture.read,
      picture.plot,
      picture.numbers,
      scale.kind,
      scale.low,
      scale.high,
      theme(),
      devicePixelRatio,
    ].join();
    const same =
      this.picture &&
      key === this.key &&
      this.picture.values === picture.values &&
      this.picture.empty === picture.empty;
    this.picture = picture;
    this.key = key;
    if (!same) this.drawBase();
    this.drawOver(marks);
  }

  sized(canvas) {
    const { rows, cols, cell, plot = 0 } = this.picture;
    const ratio = Math.min(devicePixelRatio || 1, WIDEST / Math.max(1, cols * cell, rows * cell));
    const width = Math.max(1, Math.round(cols * cell));
    const height = Math.max(1, Math.round(plot + rows * cell));
    if (
      canvas.width !== Math.round(width * ratio) ||
      canvas.height !== Math.round(height * ratio)
    ) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    return pen;
  }

  drawBase() {
    const pen = this.sized(this.base);
    const p = this.picture;
    if (p.cell >= 5) this.drawCells(pen);
    else this.drawPixels(pen);
    hatch(pen, p);
    if (p.plot) this.drawCurve(pen);
  }

  drawPixels(pen) {
    const { rows, cols, values, scale, cell, empty, plot = 0 } = this.picture;
    pen.imageSmoothingEnabled = false;
    const image = pixels(values, rows, cols, scale, empty);
    pen.drawImage(image, 0, plot, cols * cell, rows * cell);
  }

  drawCells(pen) {
    const { rows, cols, values, scale, cell, empty, plot = 0, numbers = true } = this.picture;
    const gap = cell >= 12 ? 1 : 0;
    const letter = Math.min(13, Math.max(9, cell / 3)) * 0.605;
    const room = Math.floor((cell - 1.5) / letter);
    const size = Math.min(13, Math.max(9, cell / 3));
    pen.font = `${size}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (let r = 0; r < rows; r += 1)
      for (let c = 0; c < cols; c += 1) {
        const i = r * cols + c;
        const [x, y] = [c * cell, plot + r * cell];
        if (empty?.[i] || Number.isNaN(values[i])) {
          this.nothing(pen, x, y, Number.isNaN(values[i]));
          continue;
        }
        const colour = colourOf(scale, values[i]);
        pen.fillStyle = `rgb(${colour.join(" ")})`;
        pen.fillRect(x, y, cell - gap, cell - gap);
        pen.fillStyle = inkOn(colour);
        if (numbers && cell >= READABLE) {
          pen.fillText(brief(values[i], room), x + (cell - gap) / 2, y + (cell - gap) / 2 + 0.5);
        } else if (values[i] < 0 && cell >= 8) {
          this.notch(pen, x, y, cell);
        }
      }
  }

  /** A cell without a value: hatched where it is no number, plain where it is still to come. */
  nothing(pen, x, y, hole) {
    const { cell } = this.picture;
    pen.fillStyle = token("--void");
    pen.fillRect(x, y, cell - 1, cell - 1);
    if (hole) stripes(pen, x, y, cell - 1, cell - 1, 4);
  }

  /** The sign of small cells, so that it is not told by colour alone. */
  notch(pen, x, y, cell) {
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(x + cell / 3, y);
    pen.lineTo(x, y + cell / 3);
    pen.fill();
  }

  /** A single row as a curve, 0 as a line. */
  drawCurve(pen) {
    const { cols, values, scale, cell, plot, empty } = this.picture;
    const high = plot - 10;
    const y = (v) => 5 + high * (1 - (v - scale.low) / (scale.high - scale.low || 1));
    pen.strokeStyle = token("--line");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(0, Math.round(y(0)) + 0.5);
    pen.lineTo(cols * cell, Math.round(y(0)) + 0.5);
    pen.stroke();
    pen.strokeStyle = token("--ink");
    pen.lineWidth = 1.5;
    pen.lineJoin = "round";
    pen.beginPath();
    let down = false;
    for (let c = 0; c < cols; c += 1) {
      if (empty?.[c] || Number.isNaN(values[c])) {
        down = false;
        continue;
      }
      pen[down ? "lineTo" : "moveTo"]((c + 0.5) * cell, y(values[c]));
      down = true;
    }
    pen.stroke();
    if (cell < 9) return;
    pen.fillStyle = token("--ink");
    for (let c = 0; c < cols; c += 1) {
      if (empty?.[c] || Number.isNaN(values[c])) continue;
      pen.beginPath();
      pen.arc((c + 0.5) * cell, y(values[c]), 2.5, 0, 7);
      pen.fill();
    }
  }

  drawOver(marks) {
    const pen = this.sized(this.over);
    for (const mark of marks) drawMark(pen, this.picture, mark);
  }
}
