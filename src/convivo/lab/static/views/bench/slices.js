// Of a volume one slice of the walked grid is shown: this slider says which.

import { h } from "../../core/dom.js";
import { cellOf } from "./model.js";

/** @param {(slice: number) => void} go */
export function sliceSlider(go) {
  const slider = h("input", {
    type: "range",
    min: 0,
    step: 1,
    "aria-label": "Slice",
    oninput: () => go(Number(slider.value)),
  });
  const count = h("output", { class: "count" });
  const element = h(
    "label",
    { class: "field slices" },
    h("span", { text: "slice" }),
    slider,
    count,
  );
  return {
    element,
    draw(model, step) {
      const slices = model.dims === 3 && !model.wrong ? model.stepSize[0] : 0;
      element.hidden = slices < 2;
      if (slices < 2) return;
      slider.max = slices - 1;
      slider.value = cellOf(model, step)[0];
      count.textContent = `${slider.value} of 0 … ${slices - 1} (Page Up, Page Down)`;
    },
  };
}
