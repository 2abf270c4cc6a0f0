// The totals of a network, in a row.

import { fill, h } from "../../core/dom.js";
import { bytes, commas, seconds, spoken } from "./words.js";

/** @param limit bytes of this machine, or null */
export function drawTiles(element, { plan, asked, totals, limit }) {
  const field = plan.receptive_field;
  const tiles = [
    ["parameters", commas(plan.parameters), ""],
    ["multiply-accumulates", spoken(plan.macs), `forward, batch ${asked.batch}`],
    field
      ? ["receptive field", field.join(" × "), "of the last grid"]
      : ["receptive field", "all", "each output sees the input whole"],
    ["tensors at the peak", bytes(totals.tensors_peak), plan.peak_at],
    ["process, at most", bytes(totals.process_bound), fits(totals, limit)],
    ["seconds a step", seconds(plan.seconds_per_step), "predicted"],
  ];
  fill(element, ...tiles.map(tile));
}

function tile([name, value, more]) {
  const parts = [h("span", { text: name }), h("b", { text: value }), h("small", { text: more })];
  return h("div", { class: "tile", title: `${name}: ${value} ${more}` }, ...parts);
}

function fits(totals, limit) {
  if (!limit) return "";
  return totals.process_bound <= limit ? "fits this machine" : `this machine has ${bytes(limit)}`;
}
