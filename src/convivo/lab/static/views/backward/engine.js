// The page's gradients held against torch's, through the layer of convivo, a moment after a change.

import { largestDifference } from "../../core/numbers.js";
import { forward, gradients } from "../../ops/grad.js";
import { recall } from "./model.js";

const WAIT_MS = 150;
const EPS = 2 ** -24; // half a unit in the last place of 1, in float32

/** The body of POST ops/backward. */
export function wish(model, of, index) {
  const { layer, state, up } = model;
  const list = (values) => Array.from(values);
  const learns = up.kind === "mse" || up.kind === "bce";
  return {
    dims: model.dims,
    op: layer.op,
    kind: layer.kind,
    size: layer.size,
    kernel: layer.kernel,
    stride: layer.stride,
    dilation: layer.dilation,
    pad: layer.pad,
    flip: layer.flip,
    counted: layer.counted,
    input: list(model.x),
    bias: model.bias,
    grad: list(model.g),
    ...(layer.op === "conv" ? { weight: list(model.w) } : {}),
    ...(layer.op === "unpool" ? { fine: layer.fine, before: list(model.before) } : {}),
    loss: learns ? { kind: up.kind, target: list(up.target) } : { kind: "none" },
    check: { grid: of, index, step: state.h },
  };
}

/** The parts of the answer, by name. */
function parts(model, data) {
  const [loss, numeric, db] = data;
  const lengths = [
    ["z", model.z.length],
    ["own", model.z.length],
    ["dx", model.dx.length],
    ["dw", model.dw.length],
  ];
  const found = { loss, numeric, db };
  let at = 3;
  for (const [name, length] of lengths) {
    found[name] = data.subarray(at, at + length);
    at += length;
  }
  return found;
}

/**
 * How far rounding may part two float32 sums of the same terms: n * 2^-24 * sum of magnitudes; and
 * what the output's share of that does to the gradient of a loss.
 */
function bounds(model) {
  const absolute = (values) => Float64Array.from(values, Math.abs);
  const links = { ...model.links, factor: model.links.factor.map(Math.abs) };
  const [x, w, g] = [model.x, model.w, model.g].map(absolute);
  const size = gradients(links, x, w, g);
  const n = model.z.length + model.w.length + 2;
  const each = (values) => values.map((v) => n * EPS * v);
  return {
    dw: each(size.dw),
    dx: each(size.dx),
    db: [n * EPS * size.db],
    own: lossBounds(model, each(forward(links, x, w, Math.abs(model.bias)))),
  };
}

function lossBounds({ up, z, g }, most) {
  const steep = { mse: 2, bce: 1 }[up.kind] ?? 0;
  const few = (i) => 8 * EPS * (Math.abs(z[i]) + Math.abs(up.target[i]) + 1);
  return most.map(
    (v, i) => (steep / z.length) * (v + few(i)) + (steep ? 8 : 0) * EPS * Math.abs(g[i]),
  );
}

const within = (a, b, most) => a.every((v, i) => Math.abs(v - b[i]) <= most[i]);

/** @param lab the shell's */
export function engineCheck(lab) {
  let key = "";
  let timer = 0;
  let abort = null;
  let answer = null;

  async function compare(model, asked) {
    abort?.abort();
    abort = new AbortController();
    try {
      const { data, headers } = await lab.api.askArray("ops/backward", asked, {
        signal: abort.signal,
      });
      const found = parts(model, data);
      const most = bounds(model);
      const pairs = [
        [model.dw, found.dw, most.dw],
        [model.dx, found.dx, most.dx],
        [[model.db], [model.layer.op === "conv" ? found.db : model.db], most.db],
      ];
      const difference = Math.max(...pairs.map(([a, b]) => largestDifference(a, b)));
      pairs.push([model.g, found.own, most.own]);
      const good = pairs.every(([a, b, m]) => within(Array.from(a), b, m));
      answer = { key, ...found, difference, good, ms: headers.get("X-Engine-Ms") };
    } catch (error) {
      if (error.name === "AbortError") return;
      answer = { key, error };
    }
    lab.redraw();
  }

  return {
    /** What the engine says of this model and entry; null while it is being asked. */
    ask(model, of, index) {
      const next = recall(model, "asked", `${of}/${index}`, () =>
        JSON.stringify(wish(model, of, index)),
      );
      if (next !== key) {
        key = next;
        clearTimeout(timer);
        timer = setTimeout(() => compare(model, JSON.parse(next)), WAIT_MS);
      }
      return answer?.key === key ? answer : null;
    },
    stop() {
      clearTimeout(timer);
      abort?.abort();
    },
  };
}
