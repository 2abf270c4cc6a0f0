// View 1: the convolution bench.

import { h } from "../core/dom.js";
import { integers } from "../core/state.js";

export const view = {
  name: "conv", title: "Convolve", key: "1", kinds: ["signal", "image", "volume"], sample: "cells",
  schema: { stride: integers(1, 3, 1, 8, [1]) },
  mount(lab) {
    const text = h("p");
    lab.stage.append(text);
    return {
      draw() { text.textContent = lab.card ? lab.card.name : "no data"; },
      steps: () => 2,
      say: () => `step ${lab.state.step + 1}`,
    };
  },
};
