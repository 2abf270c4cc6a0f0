// The panels of a backward pass on the page: two rows, forward above, gradients below.

import { fill } from "../../core/dom.js";
import { Panel } from "../../core/panel.js";
import { flat } from "../../ops/axes.js";
import { UPPER } from "./layout.js";
import { meant } from "./pointer.js";
import { sheetOf } from "./scene.js";

const ALONE = 44; // px of a cell that stands for itself
const PLOT = 52; // px of a signal's curve

/**
 * @param {HTMLElement[]} rows
 * @param {HTMLElement} kernel  the editor, which stands behind the input of a convolution
 * @param {{point: Function, pin: Function}} on  told what the pointer is over, see pointer.js
 */
export function stagePanels(rows, kernel, on) {
  const made = new Map();

  function listeners(id) {
    const at = (cell, sheet) => {
      const item = made.get(id).now;
      return meant(item, flat([sheet, cell[0], cell[1]], item.size));
    };
    return {
      hover: (cell, sheet) => on.point(cell ? at(cell, sheet) : {}),
      pin: (cell, sheet) => on.pin(at(cell, sheet)),
    };
  }

  /** Panels that this operation has, in order. */
  function arrange(items, model) {
    const ids = items.map((item) => item.id);
    for (const { id, role, title } of items)
      if (!made.has(id)) made.set(id, new Panel(role, title, listeners(id)));
    for (const [id, panel] of made) panel.element.hidden = !ids.includes(id);
    const upper = ids.filter((id) => UPPER.includes(id)).map((id) => made.get(id).element);
    const lower = ids.filter((id) => !UPPER.includes(id)).map((id) => made.get(id).element);
    if (model.layer.op === "conv") upper.splice(1, 0, kernel);
    [upper, lower].forEach((wanted, i) => {
      const there = [...rows[i].children];
      const same = wanted.length === there.length && wanted.every((e, j) => e === there[j]);
      if (!same) fill(rows[i], ...wanted);
      rows[i].classList.toggle("stacked", model.dims === 1);
    });
  }

  function drawPanel(model, item, cell) {
    const panel = made.get(item.id);
    panel.now = item;
    panel.caption.textContent = item.title;
    const [depth, high, wide] = item.size;
    const parts = Array.from({ length: depth }, (_, z) => sheetOf(item, z));
    const pixels = depth * high * wide === 1 ? ALONE : cell;
    const plot = model.dims === 1 && model.state.src === "data" && wide > 1 ? PLOT : 0;
    const pictures = parts.map((part) => ({ ...part, scale: item.scale, cell: pixels, plot }));
    const first = item.inner?.lo[0] ?? 0;
    const names = parts.map((_, z) => `slice ${z - first}`.replace("-", "−"));
    const size = item.size.slice(3 - model.dims).join(" × ");
    panel.draw(
      pictures,
      parts.map((part) => part.marks),
      [size, item.detail].filter(Boolean).join(", "),
      depth > 1 ? names : [],
    );
  }

  return {
    draw(model, items, cell) {
      arrange(items, model);
      for (const item of items) drawPanel(model, item, cell);
    },
  };
}
