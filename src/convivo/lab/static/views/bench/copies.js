// The arithmetic and the layer, to take away: Python, TeX, CSV.

import { exact } from "../../core/numbers.js";
import { wish } from "./state.js";

const plain = (v) => (typeof v === "number" ? exact(v).replaceAll("−", "-") : String(v));
const tuple = (values) => `(${values.join(", ")}${values.length === 1 ? "," : ""})`;

/** The layer that gives these numbers. */
export function asPython(lab, model) {
  const asked = wish(lab.state, lab.card);
  const dims = model.dims;
  const pads = `(${asked.padding.lo.map((lo, a) => tuple([lo, asked.padding.hi[a]])).join(", ")},)`;
  const common = `spatial_dims=${dims}`;
  const lines = [
    "import numpy as np",
    "import torch",
    "from convivo.layers import Conv, Pool, TrueConv, Unpool, UpConv",
    "",
  ];
  lines.push(
    `# x: the region, a tensor of shape (1, 1, ${model.spec.size.slice(3 - dims).join(", ")})`,
  );
  if (asked.weights) {
    const kind = asked.op === "transposed" ? "UpConv" : asked.flip ? "TrueConv" : "Conv";
    const extra = asked.extra ? `, output_padding=${tuple(asked.extra)}` : "";
    lines.push(
      `layer = ${kind}(1, 1, ${tuple(asked.kernel)}, ${common}, stride=${tuple(asked.stride)}, padding=${pads},`,
    );
    lines.push(
      `    dilation=${tuple(asked.dilation)}, padding_mode="${asked.padding.mode}", bias=${asked.bias ? "True" : "False"}${extra})`,
    );
    lines.push(
      `layer.weight.data = torch.tensor([${asked.weights.map(plain).join(", ")}], dtype=torch.float32).view(1, 1, ${asked.kernel.join(", ")})`,
    );
    if (asked.bias)
      lines.push(`layer.bias.data = torch.tensor([${plain(asked.bias)}], dtype=torch.float32)`);
    lines.push("out = layer(x)");
  } else if (asked.op === "pool" || asked.kind === "max") {
    const kind = asked.op === "pool" ? asked.kind : "max";
    const dilation =
      kind === "max"
        ? `, dilation=${tuple(asked.dilation)}`
        : `, count_padding=${asked.count_padding ? "True" : "False"}`;
    const back = asked.op === "unpool";
    lines.push(
      `pool = Pool(${tuple(asked.kernel)}, kind="${kind}", ${common}, stride=${tuple(asked.stride)}, padding=${pads}${dilation}${back ? ", return_indices=True" : ""})`,
    );
    lines.push(
      back
        ? "values, places = pool(x)\nout = Unpool(pool=pool)(values, places, tuple(x.shape[2:]))"
        : "out = pool(x)",
    );
  } else {
    lines.push(`out = Unpool(${tuple(asked.kernel)}, kind="${asked.kind}", ${common})(x)`);
  }
  return `${lines.join("\n")}\n`;
}

/** The table, comma separated. */
export function asCsv(sum) {
  const quoted = (v) => (String(v).includes(",") ? `"${v}"` : plain(v));
  const rows = [
    sum.head,
    ...sum.rows.map((r) => r.cells),
    ...sum.totals.map((t) => [t.label, t.value]),
  ];
  return `${rows.map((row) => row.map(quoted).join(",")).join("\n")}\n`;
}

/** The sum as one line of TeX. */
export function asTex(sum) {
  const products = sum.head.includes("w·x") && sum.head.includes("x");
  const [w, x] = [sum.head.indexOf("w"), sum.head.indexOf("x")];
  const brackets = (v) => (v < 0 ? `(${plain(v)})` : plain(v));
  const parts = products
    ? sum.rows.map((r) => `${brackets(r.cells[w])} \\cdot ${brackets(r.cells[x])}`)
    : sum.rows.map((r) => brackets(r.cells[Math.max(2, x)]));
  return `\\mathrm{${sum.title.replace(/\[(.*)\]/, "}[$1]")} = ${parts.join(products ? " + " : ",\\; ")} = ${plain(sum.value)}\n`;
}
