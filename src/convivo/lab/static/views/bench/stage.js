// The panels of the bench on the page: made when first needed, hidden when not, never made anew.

import { signedScale } from "../../core/colour.js";
import { fill, h } from "../../core/dom.js";
import { Grid } from "../../core/grid.js";
import { short } from "../../core/numbers.js";
import { Panel } from "../../core/panel.js";
import { kernelWidth, layout } from "./layout.js";
import { slice } from "./scene.js";
import { builtUp, productsOf } from "./built.js";

const CURVE = 84; // px of a signal's curve

/**
 * @param {any} kernel   the kernel editor
 * @param {HTMLElement[]} facts   what stands behind the panels
 * @param {{hover: (id: string, at: number[]|null) => void, pin: (id: string, at: number[]) => void}} on
 */
export function stage(kernel, facts, on) {
  const element = h("div", { class: "panels" });
  const known = new Map();
  const products = productGrids();
  kernel.element.append(products.element);

  /** The panels of a scene, in order, with the kernel among them. */
  function arrange(scene, model, kernelAt) {
    for (const item of scene) {
      if (!known.has(item.id))
        known.set(item.id, new Panel(item.role, item.title, listeners(item.id)));
    }
    const wanted = scene.map((item) => known.get(item.id).element);
    if (weighs(model)) wanted.splice(kernelAt, 0, kernel.element);
    place([...wanted, ...facts]);
    element.classList.toggle("stacked", model.dims === 1);
  }

  function place(wanted) {
    const same = wanted.length === element.children.length;
    if (same && wanted.every((node, i) => element.children[i] === node)) return;
    const active = document.activeElement;
    fill(element, ...wanted);
    if (active && element.contains(active)) active.focus({ preventScroll: true });
  }

  function listeners(id) {
    const at = (cell, sheet) => [known.get(id).slices[sheet], cell[0], cell[1]];
    return {
      hover: (cell, sheet) => on.hover(id, cell && at(cell, sheet)),
      pin: (cell, sheet) => on.pin(id, at(cell, sheet)),
    };
  }

  function drawPanel(model, item, cell, part) {
    const panel = known.get(item.id);
    const { size } = item.grid;
    const count = size[1] * size[2];
    const sliced = (values, z) => values.subarray(z * count, (z + 1) * count);
    panel.slices = item.slices;
    panel.caption.textContent = item.title;
    // a signal's output stands under the middle of its window
    panel.sheets.style.marginLeft = `${(item.shift ?? 0) * cell}px`;
    const pictures = item.slices.map((z) => ({
      rows: size[1],
      cols: size[2],
      values: part ? sliced(part.data, z) : slice(item.grid, z),
      empty: part ? sliced(part.empty, z) : item.empty && slice(item.empty, z),
      scale: item.scale,
      cell,
      inner: item.inner,
      read: item.read,
      plot: model.dims === 1 ? CURVE : 0,
    }));
    panel.draw(pictures, item.marks, item.detail, item.names);
  }

  return {
    element,
    /** @param {any} model @param {any[]} scene @param {any} sum */
    draw(model, scene, sum, { room, built, step }) {
      kernel.element.style.width = `${kernelWidth(model.kernel.shape)}px`;
      const { cells, kernelAt } = layout(scene, model, { ...room, kernel: weighs(model) });
      arrange(scene, model, kernelAt);
      const part = built ? builtUp(model, step) : null;
      for (const item of scene) {
        drawPanel(model, item, cells.get(item.id), item.id === "output" ? part : null);
      }
      if (weighs(model)) products.draw(model, sum);
    },
    /** Nothing to draw: only what can be changed stays. */
    clear(model) {
      place([...(weighs(model) ? [kernel.element] : []), ...facts]);
    },
  };
}

const weighs = (model) => model.op === "conv" || model.op === "transposed";

/** The products of the cell, laid out as the kernel is. */
function productGrids() {
  let grids = [];
  const note = h("p", { class: "muted small" });
  const sheets = h("div", { class: "sheets" });

  function draw(model, sum) {
    const values = productsOf(model, sum);
    const [depth, rows, cols] = model.spec.kernel;
    if (grids.length !== depth) {
      const name = (z) => `products${depth > 1 ? `, slice ${z}` : ""}`;
      grids = Array.from({ length: depth }, (_, z) => new Grid(name(z)));
      fill(sheets, ...grids.map((grid) => grid.element));
    }
    const total = sum.rows.length ? sum.rows.at(-1).cells.at(-1) : 0;
    const turned = model.spec.flip ? "turned by 180°, " : "";
    note.textContent = sum.ofOutput
      ? `${turned}w · x at this cell: Σ = ${short(total)}`
      : "w · x painted by this input";
    const scale = signedScale(values.map((v) => (Number.isNaN(v) ? 0 : v)));
    const cell = depth > 1 || cols > 5 ? 38 : 44;
    grids.forEach((grid, z) => {
      const part = values.subarray(z * rows * cols, (z + 1) * rows * cols);
      grid.draw({ rows, cols, values: part, scale, cell });
    });
  }

  return { element: h("div", { class: "products" }, note, sheets), draw };
}
