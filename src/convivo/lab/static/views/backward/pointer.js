// What a cell of a panel stands for, and where a key moves the entry that is looked at.

import { flat, unflat } from "../../ops/axes.js";
import { countOf, entrySize, ofNow } from "./model.js";
import { sheets } from "./state.js";

/** An output {out}, an entry of a gradient {of, index}, or nothing. @param item of scene.js */
export function meant(item, at) {
  if (item.id === "z" || item.id === "g") return { out: at };
  if (item.id === "w" || item.id === "b") return { of: item.id, index: at };
  if (item.id === "x") return { of: "x", index: at };
  if (item.id !== "I" && item.id !== "p") return {};
  if (!item.inner) return { of: "x", index: at };
  const { lo, size } = item.inner;
  const place = unflat(at, item.size).map((p, a) => p - lo[a]);
  const inside = place.every((p, a) => p >= 0 && p < size[a]);
  return inside ? { of: "x", index: flat(place, size) } : {};
}

/** The state after a move of the entry; a far one by the stride. */
export function moved(model, move, far) {
  const { state } = model;
  const of = ofNow(model);
  const size = sheets(entrySize(model, of));
  const stride = sheets(model.layer.stride);
  const gather = state.read === "gather";
  const now = unflat(Math.min(gather ? state.step : state.cell, countOf(model, of) - 1), size);
  const next = now.map((p, a) => p + move[a] * (far ? stride[a] : 1));
  const cell = flat(
    next.map((p, a) => Math.min(size[a] - 1, Math.max(0, p))),
    size,
  );
  return gather ? { step: cell, cell } : { cell };
}
