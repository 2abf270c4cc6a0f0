// The inspector: the value, its formula, its table, what the engine says, and what can be copied.

import { fill, h, refill } from "../../core/dom.js";
import { exact, hex, short } from "../../core/numbers.js";
import { asCsv, asPython, asTex } from "./copies.js";
import { formulaOf } from "./formulas.js";

const MOST_ROWS = 400;

/** @param {any} lab @param {(row: any|null) => void} light  a row is pointed at */
export function inspector(lab, light) {
  const title = h("h2");
  const value = h("p", { class: "big" });
  const words = h("p", { class: "muted" });
  const formula = h("div", { class: "formula" });
  const detail = h("p", { class: "exact", "aria-live": "polite" });
  const table = h("table", { class: "sum" });
  const scroll = h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": "Arithmetic of the cell" },
    table,
  );
  const options = h("div", { class: "tools tight small" });
  const more = h("div");
  let model = null;
  let sum = null;
  let drawn = "";
  table.addEventListener("click", (e) => {
    const cell = e.target.closest("[data-v]");
    if (cell)
      detail.textContent = `${short(Number(cell.dataset.v))} = ${exact(Number(cell.dataset.v))} = ${hex(Number(cell.dataset.v))}`;
  });
  table.addEventListener("pointerover", (e) => light(rowOf(e.target)));
  table.addEventListener("pointerleave", () => light(null));
  fill(lab.inspector, title, value, words, formula, options, scroll, detail, more);

  const rowOf = (node) => {
    const i = node.closest("tr")?.dataset.row;
    return i === undefined ? null : (sum?.rows[Number(i)] ?? null);
  };
  const print = (v) => (typeof v !== "number" ? v : lab.state.all ? exact(v) : short(v));
  const number = (v, tag = "td") => h(tag, typeof v === "number" ? { "data-v": v } : {}, print(v));

  function rows() {
    const grouped = new Set(sum.rows.map((r) => r.sheet)).size > 1;
    const list = [];
    let subtotal = 0;
    sum.rows.slice(0, MOST_ROWS).forEach((row, i) => {
      list.push(
        h(
          "tr",
          {
            "data-row": i,
            "data-index": row.index,
            class: [row.outside && "outside", row.best && "best"].filter(Boolean).join(" "),
          },
          ...row.cells.map((c, j) => (j === 0 ? h("td", { text: c }) : number(c))),
        ),
      );
      const part = row.cells[row.cells.length - 2];
      if (typeof part === "number") subtotal = Math.fround(subtotal + part);
      if (grouped && sum.head.at(-2) === "w·x" && sum.rows[i + 1]?.sheet !== row.sheet) {
        list.push(
          h(
            "tr",
            { class: "subtotal" },
            h("td", { colspan: sum.head.length - 2, text: `slice ${row.sheet}` }),
            number(subtotal),
            h("td"),
          ),
        );
        subtotal = 0;
      }
    });
    if (sum.rows.length > MOST_ROWS)
      list.push(
        h(
          "tr",
          {},
          h("td", {
            colspan: sum.head.length,
            text: `… ${sum.rows.length - MOST_ROWS} more rows, all in the total`,
          }),
        ),
      );
    return list;
  }

  function totals(engine) {
    const wide = sum.head.length - 1;
    const lines = sum.totals.map((t, i) =>
      h(
        "tr",
        {
          class: i === sum.totals.length - 1 || t.label === "= out" ? "total" : "",
          "data-total": t.label,
        },
        h("td", { colspan: wide, text: t.label }),
        number(t.value),
      ),
    );
    if (engine !== undefined && engine !== sum.value)
      lines.push(
        h(
          "tr",
          { "data-total": "engine" },
          h("td", { colspan: wide, text: "the layer, float32 in its own order" }),
          number(engine),
        ),
      );
    return lines;
  }

  function toggles() {
    const press = (key, text, title) =>
      h("button", {
        type: "button",
        text,
        title,
        "aria-pressed": String(lab.state[key]),
        onclick: () => lab.set({ [key]: !lab.state[key] }),
      });
    const copy = (text, make) =>
      h("button", {
        type: "button",
        text,
        title: `Copy as ${text}`,
        onclick: () => copied(make()),
      });
    const key = [lab.state.all, lab.state.tab].join();
    if (key === options.dataset.key) return;
    options.dataset.key = key;
    refill(
      options,
      press("all", "all digits", "Print every number so that it can be added up exactly"),
      press("tab", "as table", "All outputs as numbers, up to 4096 of them"),
      copy("py", () => asPython(lab, model)),
      copy("tex", () => asTex(sum)),
      copy("csv", () => asCsv(sum)),
    );
  }

  async function copied(text) {
    await navigator.clipboard?.writeText(text).catch(() => {});
    lab.inspector.dataset.copied = text;
    lab.live("copied");
  }

  return {
    /** @param {any} nextModel @param {any} nextSum @param {number|undefined} engine  the layer's value */
    draw(nextModel, nextSum, engine) {
      const key = [nextSum.title, nextSum.text, lab.state.all, lab.state.tab, engine].join(";");
      if (model === nextModel && key === drawn) return; // a row pointed at must not be made anew
      const anew = model !== nextModel;
      [model, sum, drawn] = [nextModel, nextSum, key];
      title.textContent = sum.title;
      value.textContent = print(sum.value);
      words.textContent = sum.text;
      if (anew) fill(formula, formulaOf(model));
      const head = h(
        "thead",
        {},
        h("tr", {}, ...sum.head.map((text) => h("th", { scope: "col", text }))),
      );
      fill(
        table,
        h("caption", { class: "unseen", text: sum.text }),
        head,
        h("tbody", {}, ...rows(), ...totals(engine)),
      );
      detail.textContent = "";
      toggles();
      fill(more, lab.state.tab ? outputTable(model, print) : null);
    },
    /** The rows of a weight that is pointed at. @param {number|null} index */
    light(index) {
      for (const row of table.querySelectorAll("tr.lit")) row.classList.remove("lit");
      if (index === null) return;
      for (const row of table.querySelectorAll(`tr[data-index="${index}"]`))
        row.classList.add("lit");
    },
    empty(text) {
      [model, sum] = [null, null];
      title.textContent = "";
      value.textContent = "";
      words.textContent = text;
      delete options.dataset.key;
      for (const node of [formula, options, table, detail, more]) fill(node);
    },
  };
}

/** All outputs of one slice as a real table. */
function outputTable(model, print) {
  const [depth, rows, cols] = model.outSize;
  if (depth * rows * cols > 4096)
    return h("p", { class: "muted", text: "Too large for a table: choose a smaller region (+)." });
  const body = [];
  for (let z = 0; z < depth; z += 1)
    for (let r = 0; r < rows; r += 1) {
      const cells = Array.from({ length: cols }, (_, c) =>
        h("td", { text: print(model.out[(z * rows + r) * cols + c]) }),
      );
      body.push(
        h("tr", {}, h("th", { scope: "row", text: model.dims === 3 ? `${z},${r}` : r }), ...cells),
      );
    }
  const head = h(
    "tr",
    {},
    h("td"),
    ...Array.from({ length: cols }, (_, c) => h("th", { scope: "col", text: c })),
  );
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": "Outputs" },
    h("h3", { text: "Output" }),
    h(
      "table",
      { class: "sum values", id: "outputs" },
      h("thead", {}, head),
      h("tbody", {}, ...body),
    ),
  );
}
