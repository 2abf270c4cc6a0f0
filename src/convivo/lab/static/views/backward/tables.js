// Every grid of the backward pass as a real table, for readers and for checking.

import { h } from "../../core/dom.js";
import { sheets } from "./state.js";

function table(name, title, values, size, print) {
  const [depth, rows, cols] = sheets(size);
  const head = h(
    "tr",
    {},
    h("td"),
    ...Array.from({ length: cols }, (_, c) => h("th", { scope: "col", text: c })),
  );
  const body = Array.from({ length: depth * rows }, (_, r) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", text: depth > 1 ? `${Math.floor(r / rows)},${r % rows}` : r }),
      ...Array.from({ length: cols }, (__, c) => h("td", { text: print(values[r * cols + c]) })),
    ),
  );
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": title },
    h("h3", { text: title }),
    h(
      "table",
      { class: "sum values", "data-grid": name, "data-size": size.join() },
      h("thead", {}, head),
      h("tbody", {}, ...body),
    ),
  );
}

/** @param print how a number is printed */
export function numberTables(model, print) {
  const { layer, x, w, z, g, dw, dx, db, out } = model;
  const list = [
    ["I", "Input I", x, layer.size],
    ["z", "Output z", z, out],
    ["g", "G = ∂L/∂z", g, out],
    ["dx", "∂L/∂I", dx, layer.size],
  ];
  if (layer.op === "unpool") list.unshift(["before", "Before pooling", model.before, layer.fine]);
  if (layer.op === "conv")
    list.push(
      ["w", "Kernel w", w, layer.kernel],
      ["dw", "∂L/∂w", dw, layer.kernel],
      ["db", "∂L/∂b", [db], [1]],
    );
  return list.map(([name, title, values, size]) => table(name, title, values, size, print));
}
