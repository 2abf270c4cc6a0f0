// How large a cell is, so that the panels fit: beside each other, else below each other.

const FRAME = 28; // px of a panel around its grid
const GAP = 14;
const [LEAST, MOST] = [16, 44];
const SEEN = 240; // px of a picture that is large enough to be looked at

/** Width that the kernel's panel takes: its sheets beside each other, as far as they fit. */
export function kernelWidth(shape) {
  const [sheets, cols] = [shape.length === 3 ? shape[0] : 1, shape[shape.length - 1]];
  const cell = sheets > 1 || cols > 5 ? 42 : 54;
  return Math.min(560, Math.max(270, sheets * (cols * cell + 10) + FRAME));
}

/**
 * @param {any[]} panels  of the scene
 * @param {any} model
 * @param {{width: number, height: number, kernel: boolean}} room
 * @returns {Map<string, number>} px of a cell by panel
 */
export function cellSizes(panels, model, room) {
  const shapes = panels.map((p) => ({
    id: p.id,
    rows: p.grid.size[1],
    cols: p.grid.size[2] * p.slices.length,
    sheets: p.slices.length,
    small: p.small,
  }));
  if (model.dims === 1) return oneRow(shapes, room.width);
  const wide = shapes.filter((s) => !s.small);
  const beside =
    (room.width -
      (room.kernel ? kernelWidth(model.kernel.shape) + GAP : 0) -
      wide.length * (FRAME + GAP) -
      wide.reduce((s, p) => s + 10 * (p.sheets - 1), 0)) /
    wide.reduce((s, p) => s + p.cols, 0);
  const below = Math.min(...wide.map((p) => (room.width - FRAME - 10 * (p.sheets - 1)) / p.cols));
  const rows = Math.max(...wide.map((p) => p.rows));
  const high = Math.max(260, room.height - 300) / rows;
  const large = beside >= LEAST || beside * rows >= SEEN;
  const fits = large ? beside : Math.max(beside, Math.min(below, 24));
  const cell = whole(Math.min(MOST, fits, Math.max(high, 3)));
  return new Map(shapes.map((s) => [s.id, s.small ? whole(Math.min(cell, 160 / s.cols)) : cell]));
}

function oneRow(shapes, width) {
  const cols = Math.max(...shapes.map((s) => s.cols));
  const cell = whole(Math.min(MOST, (width - FRAME) / cols));
  return new Map(shapes.map((s) => [s.id, cell]));
}

/** Whole pixels where there are some, so that cells are alike. */
const whole = (cell) => (cell >= 4 ? Math.floor(cell) : Math.max(0.5, Math.floor(cell * 4) / 4));
