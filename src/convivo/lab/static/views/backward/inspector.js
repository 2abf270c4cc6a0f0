// The inspector: one entry of a gradient, term by term; its check; the update it is for.

import { fill, h, refill } from "../../core/dom.js";
import { exact, hex, short } from "../../core/numbers.js";
import { shares } from "../../ops/grad.js";
import { NOTHING } from "../../ops/grad_links.js";
import { relativeError } from "../../ops/grad_learning.js";
import { formulaOf, words } from "./formulas.js";
import { checked } from "./model.js";
import { entryName, placed } from "./saying.js";
import { numberTables } from "./tables.js";
import { updateCard } from "./update.js";

const MOST_ROWS = 400;
const narrow = (at, size, dims) => placed(at, size, dims, ",");

/** What the columns of the second factor are called: its place, itself, the product. */
function namesOf(layer, of) {
  if (of === "w") return ["I at", "I", "G·I"];
  if (layer.op === "conv") return ["w at", "w", "G·w"];
  return shares(layer) ? ["", "n", "G / n"] : ["", "factor", "G·factor"];
}

/** @param lab @param light (row | null) => void: a row is pointed at */
export function inspector(lab, light) {
  const [title, value, note] = [h("h2"), h("p", { class: "big" }), h("p", { class: "muted" })];
  const formula = h("div", { class: "formula" });
  const options = h("div", { class: "tools tight small" });
  const table = h("table", { class: "sum" });
  const scroll = h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": "Terms of the entry" },
    table,
  );
  const detail = h("p", { class: "exact", "aria-live": "polite" });
  const check = h("div", { class: "extra" });
  const update = updateCard(lab);
  const more = h("div");
  let shown = null;
  const drawn = new Map(); // part -> what it was drawn from
  table.addEventListener("click", (e) => {
    const cell = e.target.closest("[data-v]");
    if (cell)
      detail.textContent = `${short(Number(cell.dataset.v))} = ${exact(Number(cell.dataset.v))} = ${hex(Number(cell.dataset.v))}`;
  });
  table.addEventListener("pointerover", (e) =>
    light(shown?.rows[Number(e.target.closest("tr")?.dataset.row ?? -1)] ?? null),
  );
  table.addEventListener("pointerleave", () => light(null));
  fill(
    lab.inspector,
    title,
    value,
    note,
    formula,
    options,
    scroll,
    detail,
    check,
    update.element,
    more,
  );

  const print = (v) => (typeof v !== "number" ? v : lab.state.all ? exact(v) : short(v));
  const number = (v) =>
    h(
      "td",
      typeof v === "number" ? { "data-v": v, title: "click: all digits and bits" } : {},
      print(v),
    );
  const press = (key, text, about) =>
    h("button", {
      type: "button",
      text,
      title: about,
      "aria-pressed": String(lab.state[key]),
      onclick: () => lab.set({ [key]: !lab.state[key] }),
    });

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
    const names = namesOf(layer, sum.of);
    return [
      ...base,
      [names[0], from],
      [names[1], (r) => r.other],
      [names[2], (r) => r.product],
      ...tail,
    ];
  }

  function drawHead(model, of, index) {
    title.textContent = entryName(model, of, index);
    value.textContent = print({ w: model.dw[index], x: model.dx[index], b: model.db }[of]);
    note.textContent = words(model, of);
    fill(formula, formulaOf(model, of));
    refill(
      options,
      press("all", "all digits", "Print every number so that it can be added up exactly"),
      press("tab", "as table", "All grids as numbers"),
    );
  }

  /** Whether a part must be drawn anew: something it shows is another thing than last time. */
  function changed(name, ...parts) {
    const last = drawn.get(name);
    drawn.set(name, parts);
    return !last || parts.some((part, i) => part !== last[i]);
  }

  /** @param step as far as outputs are added up by now; -1: all of them */
  function drawTable(model, sum, step, engine) {
    const list = columns(model, sum);
    const partly = step >= 0;
    const later = (r) => partly && r.out > step;
    const rows = sum.rows.slice(0, MOST_ROWS).map((r, i) =>
      h(
        "tr",
        {
          "data-row": i,
          class: [later(r) && "outside", r.folded && "folded", partly && r.out === step && "best"]
            .filter(Boolean)
            .join(" "),
        },
        ...list.map(([, cell], j) =>
          j === 0 ? h("td", { text: cell(r, i) }) : number(cell(r, i)),
        ),
      ),
    );
    const done = sum.rows.filter((r) => !later(r));
    const soFar = done.length ? done[done.length - 1].running : 0;
    const lines = [];
    if (partly && done.length < sum.rows.length)
      lines.push([`so far, ${done.length} of ${sum.rows.length}`, soFar, "so-far"]);
    lines.push(["= total, float32 in this order", sum.engine, "single"]);
    if (sum.exact !== sum.engine) lines.push(["exact, rounded once", sum.exact, "exact"]);
    if (engine !== null && engine !== sum.engine)
      lines.push(["the layer, float32 in its own order", engine, "layer"]);
    const totals = lines.map(([text, v, name]) =>
      h(
        "tr",
        { class: name === "single" ? "total" : "", "data-total": name },
        h("td", { colspan: list.length - 1, text }),
        number(v),
      ),
    );
    if (!sum.rows.length)
      rows.push(
        h(
          "tr",
          {},
          h("td", { colspan: list.length, text: "no output reads it: the gradient is 0" }),
        ),
      );
    fill(
      table,
      h("caption", { class: "unseen", text: `terms of ${title.textContent}` }),
      h("thead", {}, h("tr", {}, ...list.map(([text]) => h("th", { scope: "col", text })))),
      h("tbody", {}, ...rows, ...totals),
    );
  }

  function drawCheck(model, focus, engine) {
    const { of, index } = focus;
    const found = checked(model, of, index);
    const error = relativeError(found.analytic, found.numeric);
    const line = (name, v, text, key) =>
      h(
        "tr",
        {},
        h("th", { scope: "row", text: name }),
        h("td", { "data-check": key, "data-v": v, text }),
      );
    const kinks = model.layer.op === "relu" || model.layer.kind === "max";
    const numeric = engine
      ? [line("through the layer, float64", engine.numeric, short(engine.numeric, 10), "layer")]
      : [];
    refill(
      check,
      h("h3", { text: "Check by central differences" }),
      h("p", {
        class: "muted small",
        text: `(L(v + ε) − L(v − ε)) / 2ε in float64, ε = ${short(model.state.h)}`,
      }),
      h(
        "table",
        { class: "list" },
        h(
          "tbody",
          {},
          line("analytic", found.analytic, short(found.analytic, 10), "analytic"),
          line("numeric", found.numeric, short(found.numeric, 10), "numeric"),
          ...numeric,
          line("relative error", error, short(error, 2), "error"),
        ),
      ),
      kinks && error > 1e-6
        ? h("p", {
            class: "muted small",
            text: "ε crosses a kink here: at equal values or at 0 the two sides have different slopes.",
          })
        : null,
    );
  }

  return {
    /** @param model @param sum model.sumOf @param focus @param engine its answer, or null */
    draw(model, sum, focus, engine) {
      shown = sum;
      const { of, index } = focus;
      const { all, tab, read } = lab.state;
      const answer = engine && !engine.error ? engine : null;
      const own = answer && { w: answer.dw[index], x: answer.dx[index], b: answer.db }[of];
      const step = read === "accumulate" && !focus.over ? focus.step : -1;
      if (changed("head", model, of, index, all, tab)) drawHead(model, of, index);
      if (changed("table", model, sum, step, all, own)) drawTable(model, sum, step, own);
      if (changed("check", model, of, index, answer)) drawCheck(model, focus, answer);
      if (changed("update", model)) update.draw(model);
      if (changed("more", model, tab, all)) fill(more, tab ? numberTables(model, print) : null);
    },
    empty(text) {
      shown = null;
      drawn.clear();
      title.textContent = "";
      value.textContent = "";
      note.textContent = text;
      for (const part of [formula, options, table, check, more]) fill(part);
      update.draw(null);
    },
  };
}
