// One step of momentum for the kernel, number by number; how often it has been taken is state.

import { fill, h, refill } from "../../core/dom.js";
import { short, trimmed } from "../../core/numbers.js";
import { momentumStep } from "../../ops/grad_learning.js";
import { placed } from "./saying.js";

/** @param lab */
export function updateCard(lab) {
  const brief = (v) => trimmed(short(v));
  const body = h("div");
  const element = h(
    "details",
    { class: "extra update", open: true },
    h("summary", { text: "One step of SGD with momentum" }),
    body,
  );

  const rate = (key, text, most, about) =>
    h(
      "label",
      { class: "field", title: about },
      h("span", { text }),
      h("input", {
        type: "number",
        min: 0,
        max: most,
        step: "any",
        value: lab.state[key],
        "aria-label": about,
        onchange: (e) => {
          const v = Number(e.target.value);
          lab.set({ [key]: Number.isFinite(v) ? Math.min(most, Math.max(0, v)) : lab.state[key] });
        },
      }),
    );

  function rows(model) {
    const { now, dw, db, w, bias, dims, layer, state } = model;
    const line = (name, weight, v, g) => {
      const next = momentumStep(weight, v, g, state.lr, state.mo);
      const sums = [
        ["v′", `${brief(state.mo)} × ${bracket(v)} + ${bracket(g)}`, next.velocity, "velocity"],
        [
          "w′",
          `${brief(weight)} − ${brief(state.lr)} × ${bracket(next.velocity)}`,
          next.weight,
          "weight",
        ],
      ];
      return sums.map(([sign, text, value, key], i) =>
        h(
          "tr",
          { "data-tap": name, "data-sum": key, class: i ? "" : "first" },
          i ? h("td") : h("th", { scope: "row", text: name }),
          h("td", { text: sign }),
          h("td", { text }),
          h("td", { text: `= ${brief(value)}`, "data-v": value }),
        ),
      );
    };
    return [
      ...Array.from(w).flatMap((weight, i) =>
        line(`w[${placed(i, layer.kernel, dims, ",")}]`, weight, now.v[i], dw[i]),
      ),
      ...line("b", bias, now.vb, db),
    ];
  }

  const bracket = (v) => (v < 0 ? `(${brief(v)})` : brief(v));
  const again = (text, t, about) =>
    h("button", {
      type: "button",
      text,
      title: about,
      disabled: t < 0 || t > 200 || t === lab.state.t,
      onclick: () => lab.set({ t }),
    });

  return {
    element,
    draw(model) {
      element.hidden = !model || model.layer.op !== "conv";
      if (element.hidden) return;
      const { state, loss, next } = model;
      const falls = next.loss < loss ? "falls" : next.loss > loss ? "rises" : "stays";
      refill(
        body,
        h(
          "div",
          { class: "tools tight small" },
          rate("lr", "rate η", 10, "learning rate"),
          rate("mo", "momentum μ", 0.999, "momentum"),
        ),
        h(
          "div",
          { class: "tools tight small" },
          h("button", {
            type: "button",
            class: "primary",
            text: "Update",
            title: "Take this step",
            disabled: state.t >= 200,
            onclick: () => lab.set({ t: state.t + 1 }),
          }),
          again("Undo", state.t - 1, "One step back"),
          again("Begin again", 0, "The kernel as it was"),
          h("span", { class: "muted", text: `${state.t} taken` }),
        ),
        h(
          "p",
          { class: "loss", "data-loss": loss, "data-next": next.loss },
          "L = ",
          h("b", { text: short(loss, 5) }),
          ` now; after this step ${short(next.loss, 5)}: it ${falls}.`,
        ),
        h("p", { class: "muted small", text: "v′ = μ v + ∂L/∂w, then w′ = w − η v′" }),
        h(
          "div",
          {
            class: "scroll",
            tabindex: 0,
            role: "region",
            "aria-label": "The update, weight by weight",
          },
          h("table", { class: "sum steps" }, h("tbody", {}, ...rows(model))),
        ),
      );
    },
  };
}
