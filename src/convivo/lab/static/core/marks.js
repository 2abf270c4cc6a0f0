// What is drawn over a grid: outlines, rings, arrows, and the stems of a kernel on a curve.

import { token } from "./theme.js";

/**
 * @typedef {object} Mark
 * @property {"box"|"dot"|"arrow"|"ring"|"fill"|"stems"} kind
 * @property {number} row
 * @property {number} col
 * @property {number} [rows]
 * @property {number} [cols]
 * @property {number[]} [to]              of an arrow
 * @property {number[]} [values]          of stems, `every` so many cells
 * @property {number} [every]
 * @property {string} colour              a CSS variable, such as --input
 * @property {number} [width]
 * @property {boolean} [dashed]
 * @property {number} [opacity]
 */

/** Draw one. @param {any} pen @param {{cell: number, plot?: number}} picture @param {Mark} mark */
export function drawMark(pen, { cell, plot = 0 }, mark) {
  const { kind, row, col, rows = 1, cols = 1, colour, width = 2, dashed, opacity = 1 } = mark;
  const place = {
    x: col * cell,
    y: plot ? 0 : row * cell,
    width: Math.max(2, cols * cell),
    height: plot ? plot + cell : Math.max(2, rows * cell),
    middle: [(col + cols / 2) * cell, plot ? plot + cell / 2 : (row + rows / 2) * cell],
    cell,
    plot,
  };
  pen.globalAlpha = opacity;
  pen.strokeStyle = pen.fillStyle = token(colour);
  pen.lineWidth = width;
  pen.setLineDash(dashed ? [4, 3] : []);
  DRAWN[kind](pen, place, mark);
  pen.globalAlpha = 1;
}

const DRAWN = {
  fill: (pen, p) => pen.fillRect(p.x, p.y, p.width, p.height),
  box,
  ring: (pen, p) => round(pen, p.middle, Math.max(3, p.cell / 2 - 2), "stroke"),
  dot: (pen, p) => round(pen, p.middle, Math.min(5, Math.max(2, p.cell / 7)), "fill"),
  stems,
  arrow,
};

function box(pen, { x, y, width, height, cell }) {
  const [colour, line] = [pen.strokeStyle, pen.lineWidth];
  if (cell >= 12) {
    // a hair of paper, so that the outline is seen on any colour
    pen.strokeStyle = token("--panel");
    pen.lineWidth = line + 2;
    pen.strokeRect(x - 0.5, y - 0.5, width, height);
    pen.strokeStyle = colour;
    pen.lineWidth = line;
  }
  pen.strokeRect(x - 0.5, y - 0.5, width, height);
}

function round(pen, [x, y], radius, how) {
  pen.beginPath();
  pen.arc(x - 0.5, y - 0.5, radius, 0, 7);
  pen[how]();
}

/** A kernel's weights as stems on a curve, from its middle line. */
function stems(pen, { x, cell, plot }, { values, every }) {
  const most = Math.max(...values.map(Math.abs)) || 1;
  values.forEach((v, i) => {
    const at = x + (i * every + 0.5) * cell;
    const end = plot / 2 - (v / most) * (plot / 2 - 8);
    pen.beginPath();
    pen.moveTo(at, plot / 2);
    pen.lineTo(at, end);
    pen.stroke();
    round(pen, [at + 0.5, end + 0.5], 3.5, "fill");
  });
}

/** From a padded cell to the sample it repeats, bent a little so that it does not hide cells. */
function arrow(pen, { middle: [x, y], cell, plot }, { to }) {
  const [tx, ty] = [(to[1] + 0.5) * cell, plot ? plot + cell / 2 : (to[0] + 0.5) * cell];
  const [dx, dy] = [tx - x, ty - y];
  const length = Math.hypot(dx, dy) || 1;
  const bend = Math.min(24, length / 3);
  const [cx, cy] = [(x + tx) / 2 - (dy / length) * bend, (y + ty) / 2 + (dx / length) * bend];
  const angle = Math.atan2(ty - cy, tx - cx);
  pen.beginPath();
  pen.moveTo(x, y);
  pen.quadraticCurveTo(cx, cy, tx, ty);
  pen.stroke();
  pen.setLineDash([]);
  pen.beginPath();
  pen.moveTo(tx, ty);
  for (const side of [-0.45, 0.45]) {
    pen.lineTo(tx - 8 * Math.cos(angle + side), ty - 8 * Math.sin(angle + side));
  }
  pen.fill();
}
