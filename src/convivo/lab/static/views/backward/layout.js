// How large a cell is, so that the panels of a row stand beside each other where they can.

const FRAME = 42; // px of a panel around its grid, and the gap behind it
const [LEAST, MOST] = [15, 40];
const UPPER = ["before", "I", "z", "g"];
const KERNEL = 290;

/** One size for all grids, so that the same sample is as large everywhere. */
export function cellSize(items, width) {
  const wide = (item) => item.size[0] * item.size[2];
  const widest = Math.max(...items.map(wide));
  if (items.every((item) => item.size[0] === 1 && item.size[1] === 1)) return fit((width - FRAME) / widest);
  const rows = [items.filter((item) => UPPER.includes(item.id)), items.filter((item) => !UPPER.includes(item.id))];
  const room = rows.map((row, i) => (width - (i ? 0 : KERNEL) - row.length * FRAME - 10 * row.reduce((n, item) => n + item.size[0] - 1, 0)) / row.reduce((n, item) => n + wide(item), 0));
  return fit(Math.min(Math.max(...room.map((r) => Math.max(r, 22))), (width - FRAME) / widest));
}

const fit = (cell) => Math.floor(Math.min(MOST, Math.max(LEAST, cell)));
