// The terms of one entry of a gradient as a table: products, running totals, and what they add up to.

import { fill, h } from "../../core/dom.js";
import { exact, hex, short } from "../../core/numbers.js";
import { shares } from "../../ops/grad.js";
import { NOTHING } from "../../ops/grad_links.js";
import { placed } from "./saying.js";

const MOST_ROWS = 400;
const narrow = (at, size, dims) => placed(at, size, dims, ",");

/** What the columns of the second factor are called: its place, itself, the product. */
function namesOf(layer, of) {
  if (of === "w") return ["I at", "I", "G·I"];
  if (layer.op === "conv") return ["w at", "w", "G·w"];
  return shares(layer) ? ["", "n", "G / n"] : ["", "factor", "G·factor"];
}

/** Columns of the table: names, and what a row holds in them. */
function columns(model, sum) {
  const { dims, layer, padded, out } = model;
  const where = (r) => {
    if (sum.of === "w") return r.source === NOTHING ? "pad" : narrow(r.source, layer.size, dims);
    return layer.op === "conv" ? narrow(r.weight, layer.kernel, dims) : "";
  };
  const from = (r) => (r.folded ? `${where(r)}↩${narrow(r.place, padded, dims)}` : where(r));
  const base = [
    ["#", (r, i) => i + 1],
    ["G at", (r) => narrow(r.out, out, dims)],
    ["G", (r) => r.up],
  ];
  const tail = [["Σ", (r) => r.running]];
  if (sum.of === "b") return [...base, ...tail];
  const [place, factor, product] = namesOf(layer, sum.of);
  return [...base, [place, from], [factor, (r) => r.other], [product, (r) => r.product], ...tail];
}

/** @param lab @param light (row | null) => void: a row is pointed at */
export function termsTable(lab, light) {
  const table = h("table", { class: "sum" });
  const label = { tabindex: 0, role: "region", "aria-label": "Terms of the entry" };
  const scroll = h("div", { class: "scroll", ...label }, table);
  const detail = h("p", { class: "exact", "aria-live": "polite" });
  let shown = null; // {sum, rows: elements, soFar: element}

  table.addEventListener("click", (e) => {
    const cell = e.target.closest("[data-v]");
    const v = Number(cell?.dataset.v);
    if (cell) detail.textContent = `${short(v)} = ${exact(v)} = ${hex(v)}`;
  });
  const rowAt = (e) => shown?.sum.rows[Number(e.target.closest("tr")?.dataset.row ?? -1)] ?? null;
  table.addEventListener("pointerover", (e) => light(rowAt(e)));
  table.addEventListener("pointerleave", () => light(null));

  const print = (v) => (typeof v !== "number" ? v : lab.state.all ? exact(v) : short(v));
  const number = (v) =>
    typeof v === "number"
      ? h("td", { "data-v": v, title: "click: all digits and bits", text: print(v) })
      : h("td", { text: v });

  function line(wide, text, value, name) {
    const props = { class: name === "single" ? "total" : "", "data-total": name };
    return h("tr", props, h("td", { colspan: wide, text }), number(value));
  }

  function totals(sum, wide, layer) {
    const lines = [["= total, float32 in this order", sum.engine, "single"]];
    if (sum.exact !== sum.engine) lines.push(["exact, rounded once", sum.exact, "exact"]);
    if (layer !== null && layer !== sum.engine)
      lines.push(["the layer, float32 in its own order", layer, "layer"]);
    return lines.map((one) => line(wide, ...one));
  }

  /** Rows up to the step are done, the one of the step is being added, later ones are to come. */
  function mark(step) {
    const { sum, rows, wide } = shown;
    const partly = step >= 0;
    rows.forEach((row, i) => {
      row.classList.toggle("outside", partly && sum.rows[i].out > step);
      row.classList.toggle("best", partly && sum.rows[i].out === step);
    });
    const done = partly ? sum.rows.filter((r) => r.out <= step) : sum.rows;
    const soFar = done.at(-1)?.running ?? 0;
    shown.soFar?.remove();
    shown.soFar = null;
    if (done.length === sum.rows.length) return;
    const text = `so far, ${done.length} of ${sum.rows.length}`;
    shown.soFar = line(wide, text, soFar, "so-far");
    table.querySelector('[data-total="single"]').before(shown.soFar);
  }

  return {
    elements: [scroll, detail],
    /** @param title of the entry @param layer its value by the layer, or null */
    draw(model, sum, title, layer) {
      const list = columns(model, sum);
      const wide = list.length - 1;
      const rows = sum.rows.slice(0, MOST_ROWS).map((r, i) => {
        const cells = list.map(([, cell], j) =>
          j ? number(cell(r, i)) : h("td", { text: i + 1 }),
        );
        return h("tr", { "data-row": i, class: r.folded ? "folded" : "" }, ...cells);
      });
      const none = h("td", { colspan: wide + 1, text: "no output reads it: the gradient is 0" });
      const head = h("tr", {}, ...list.map(([text]) => h("th", { scope: "col", text })));
      shown = { sum, rows, wide, soFar: null };
      fill(
        table,
        h("caption", { class: "unseen", text: `terms of ${title}` }),
        h("thead", {}, head),
        h("tbody", {}, ...(rows.length ? rows : [h("tr", {}, none)]), ...totals(sum, wide, layer)),
      );
      detail.textContent = "";
    },
    /** @param step as far as outputs are added up by now; -1: all of them */
    mark,
    clear() {
      shown = null;
      fill(table);
      detail.textContent = "";
    },
  };
}
