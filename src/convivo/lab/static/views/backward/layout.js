// How large a cell is, so that the panels of a row stand beside each other where they can.

const FRAME = 28; // px of a panel around its grid
const GAP = 14;
const LEAST_PANEL = 198; // as in backward.css
const [LEAST, GOOD, MOST] = [15, 26, 40]; // from 26 on four letters can be read
export const UPPER = ["before", "I", "z", "g"];

const columns = (item) => item.size[0] * item.size[2];
const between = (item) => 10 * (item.size[0] - 1);
const panelWidth = (item, cell) =>
  Math.max(LEAST_PANEL, columns(item) * cell + between(item) + FRAME) + GAP;

/** One size for all grids, so that the same sample is as large everywhere. */
export function cellSize(items, width, kernel) {
  const alone = Math.min(...items.map((item) => (width - FRAME - between(item)) / columns(item)));
  const signals = items.every((item) => item.size[0] === 1 && item.size[1] === 1);
  const most = Math.floor(Math.min(MOST, Math.max(LEAST, alone)));
  if (signals) return most;
  const upper = items.filter((item) => UPPER.includes(item.id));
  const lower = items.filter((item) => !UPPER.includes(item.id) && item.id !== "spread");
  const wide = (row, cell) => row.reduce((sum, item) => sum + panelWidth(item, cell), 0);
  const fits = (cell) => wide(upper, cell) + kernel <= width && wide(lower, cell) <= width;
  for (let cell = most; cell >= GOOD; cell -= 1) if (fits(cell)) return cell;
  return Math.min(most, 30);
}
