// The page's gradients held against torch's, through the layer of convivo, a moment after a change.

import { largestDifference } from "../../core/numbers.js";
import { gradients } from "../../ops/grad.js";

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

/** How far rounding may part two float32 sums of the same terms: n * 2^-24 * sum of magnitudes. */
function bounds(model) {
  const absolute = (values) => Float64Array.from(values, Math.abs);
  const links = { ...model.links, factor: model.links.factor.map(Math.abs) };
  const size = gradients(links, absolute(model.x), absolute(model.w), absolute(model.g));
  const n = model.z.length + model.w.length + 2;
  return {
    dw: size.dw.map((v) => n * EPS * v),
    dx: size.dx.map((v) => n * EPS * v),
    db: n * EPS * size.db,
  };
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
      const difference = Math.max(
        largestDifference(model.dw, found.dw),
        largestDifference(model.dx, found.dx),
        model.layer.op === "conv" ? Math.abs(model.db - found.db) : 0,
      );
      const good =
        within(model.dw, found.dw, most.dw) &&
        within(model.dx, found.dx, most.dx) &&
        (model.layer.op !== "conv" || Math.abs(model.db - found.db) <= most.db);
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
      const asked = wish(model, of, index);
      const next = JSON.stringify(asked);
      if (next !== key) {
        key = next;
        clearTimeout(timer);
        timer = setTimeout(() => compare(model, asked), WAIT_MS);
      }
      return answer?.key === key ? answer : null;
    },
    stop() {
      clearTimeout(timer);
      abort?.abort();
    },
  };
}
