// A card: from scores to probabilities, with the softmax (one class of several) and the sigmoid.

import { h, refill } from "../../core/dom.js";
import { parsed, short } from "../../core/numbers.js";

/** @param {any} lab */
export function scoresCard(lab) {
  const body = h("div");
  const element = h(
    "details",
    { class: "extra" },
    h("summary", { text: "From scores to probabilities: softmax, sigmoid" }),
    body,
  );

  const put = (i, v) =>
    lab.set({
      z: lab.state.z.map((old, j) =>
        j === i && Number.isFinite(v) ? Math.min(50, Math.max(-50, v)) : old,
      ),
    });

  function draw() {
    const { z } = lab.state;
    const most = Math.max(...z);
    const powers = z.map((v) => Math.exp(v - most)); // the largest taken off: no overflow, same quotients
    const total = powers.reduce((a, b) => a + b, 0);
    const rows = z.map((v, i) =>
      h(
        "tr",
        {},
        h(
          "td",
          {},
          h("input", {
            type: "text",
            inputmode: "decimal",
            class: "weight narrow",
            value: short(v),
            "aria-label": `score ${i + 1}`,
            onchange: (e) => put(i, parsed(e.target.value)),
          }),
        ),
        ...[powers[i], powers[i] / total, 1 / (1 + Math.exp(-v))].map((p) =>
          h("td", { text: short(p), "data-v": p }),
        ),
      ),
    );
    const sums = ["Σ", short(total), short(powers.reduce((a, p) => a + p / total, 0)), "—"].map(
      (text) => h("td", { text }),
    );
    const head = h(
      "tr",
      {},
      ...["score z", "exp(z − max)", "softmax", "sigmoid"].map((text) =>
        h("th", { scope: "col", text }),
      ),
    );
    refill(
      body,
      h("p", {
        class: "muted small",
        text: "Softmax: the classes exclude each other, the column adds up to 1. Sigmoid: each class for itself, several may be present.",
      }),
      h(
        "table",
        { class: "sum", id: "scores" },
        h("thead", {}, head),
        h("tbody", {}, ...rows, h("tr", { class: "total" }, ...sums)),
      ),
      h(
        "div",
        { class: "tools tight" },
        h("button", {
          type: "button",
          text: "one more",
          onclick: () => lab.set({ z: [...z, 0].slice(0, 6) }),
        }),
        h("button", {
          type: "button",
          text: "one less",
          onclick: () => lab.set({ z: z.length > 2 ? z.slice(0, -1) : z }),
        }),
      ),
    );
  }

  let drawn = "";
  return {
    element,
    draw() {
      const key = lab.state.z.join();
      if (key !== drawn) {
        drawn = key;
        draw();
      }
    },
  };
}
