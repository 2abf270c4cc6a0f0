// How large a cell is, so that the panels fit: beside each other, else below each other.

const FRAME = 28; // px of a panel around its grid
const GAP = 14;
const TITLE = 150; // px, as in app.css
const SHEET_GAP = 10; // px between the slices of a volume
const STACKED = 24; // px of a cell at most where panels stand below each other
const SMALL = 160; // px of a panel that is looked at in passing
const [LEAST, MOST] = [16, 44];
const SEEN = 240; // px of a picture that is large enough to be looked at

/** Width that the kernel's panel takes: its sheets beside each other, as far as they fit. */
export function kernelWidth(shape) {
  const [sheets, cols] = [shape.length === 3 ? shape[0] : 1, shape[shape.length - 1]];
  const cell = sheets > 1 || cols > 5 ? 42 : 54;
  return Math.min(560, Math.max(270, sheets * (cols * cell + 10) + FRAME));
}

/**
 * Panels in one row, with the kernel among them where that leaves cells to be read, else behind
 * them; or, where even that is too narrow, one below the other.
 * @param {any[]} panels  of the scene
 * @param {any} model
 * @param {{width: number, height: number, kernel: boolean}} room
 * @returns {{cells: Map<string, number>, kernelAt: number}} px of a cell by panel; the kernel's place
 */
export function layout(panels, model, room) {
  const shapes = panels.map(shapeOf);
  if (model.dims === 1)
    return { cells: sized(shapes, widest(shapes, room)), kernelAt: shapes.length };
  const wide = shapes.filter((s) => !s.small);
  const rows = Math.max(...wide.map((s) => s.rows));
  const seen = (cell) => cell >= LEAST || cell * rows >= SEEN;
  const kernel = room.kernel ? kernelWidth(model.kernel.shape) + GAP : 0;
  const beside = whole(Math.min(MOST, oneRow(wide, room.width - kernel)));
  const among = rowWidth(wide, beside) + kernel <= room.width + GAP ? beside : 0;
  const behind = oneRow(wide, room.width);
  const fits = seen(among) ? among : seen(behind) ? behind : Math.min(widest(wide, room), STACKED);
  const high = Math.max(260, room.height - 300) / rows;
  const cell = whole(Math.min(MOST, fits, Math.max(high, 3)));
  return { cells: sized(shapes, cell), kernelAt: seen(among) ? 1 : shapes.length };
}

const shapeOf = ({ id, grid, slices, small }) => ({
  id,
  small,
  rows: grid.size[1],
  cols: grid.size[2] * slices.length,
  between: SHEET_GAP * (slices.length - 1),
});

/** Px of a cell if all stand beside each other. */
function oneRow(shapes, width) {
  const taken = shapes.reduce((all, s) => all + FRAME + GAP + s.between, 0);
  return (width - taken) / shapes.reduce((all, s) => all + s.cols, 0);
}

/** What they take, since a panel has a least width for its title. */
const rowWidth = (shapes, cell) =>
  shapes.reduce((all, s) => all + GAP + Math.max(TITLE, FRAME + s.between + s.cols * cell), 0);

/** Px of a cell if each has a row of its own. */
const widest = (shapes, room) =>
  whole(Math.min(MOST, ...shapes.map((s) => (room.width - FRAME - s.between) / s.cols)));

const sized = (shapes, cell) =>
  new Map(shapes.map((s) => [s.id, s.small ? whole(Math.min(cell, SMALL / s.cols)) : cell]));

/** Whole pixels where there are some, so that cells are alike. */
const whole = (cell) => (cell >= 4 ? Math.floor(cell) : Math.max(0.5, Math.floor(cell * 4) / 4));
