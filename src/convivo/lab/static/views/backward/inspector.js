// The inspector: one entry of a gradient, term by term; its check; the update it is for.

import { fill, h, refill } from "../../core/dom.js";
import { exact, short } from "../../core/numbers.js";
import { relativeError } from "../../ops/grad_learning.js";
import { formulaOf, words } from "./formulas.js";
import { checked } from "./model.js";
import { entryName } from "./saying.js";
import { numberTables } from "./tables.js";
import { termsTable } from "./terms.js";
import { updateCard } from "./update.js";

/** @param lab @param light (row | null) => void: a row is pointed at */
export function inspector(lab, light) {
  const [title, value, note] = [h("h2"), h("p", { class: "big" }), h("p", { class: "muted" })];
  const formula = h("div", { class: "formula" });
  const options = h("div", { class: "tools tight small" });
  const check = h("div", { class: "extra" });
  const update = updateCard(lab);
  const more = h("div");
  const terms = termsTable(lab, light);
  const drawn = new Map(); // part -> what it was drawn from
  const parts = [title, value, note, formula, options, ...terms.elements];
  fill(lab.inspector, ...parts, check, update.element, more);

  const print = (v) => (typeof v !== "number" ? v : lab.state.all ? exact(v) : short(v));
  const press = (key, text, about) =>
    h("button", {
      type: "button",
      text,
      title: about,
      "aria-pressed": String(lab.state[key]),
      onclick: () => lab.set({ [key]: !lab.state[key] }),
    });

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
      const { of, index } = focus;
      const { all, tab, read } = lab.state;
      const answer = engine && !engine.error ? engine : null;
      const own = answer && { w: answer.dw[index], x: answer.dx[index], b: answer.db }[of];
      const step = read === "accumulate" && !focus.over ? focus.step : -1;
      if (changed("head", model, of, index, all, tab)) drawHead(model, of, index);
      const remade = changed("table", model, sum, all, own);
      if (remade) terms.draw(model, sum, title.textContent, own);
      if (changed("step", step) || remade) terms.mark(step);
      if (changed("check", model, of, index, answer)) drawCheck(model, focus, answer);
      if (changed("update", model)) update.draw(model);
      if (changed("more", model, tab, all)) fill(more, tab ? numberTables(model, print) : null);
    },
    empty(text) {
      drawn.clear();
      terms.clear();
      title.textContent = "";
      value.textContent = "";
      note.textContent = text;
      for (const part of [formula, options, check, more]) fill(part);
      update.draw(null);
    },
  };
}
