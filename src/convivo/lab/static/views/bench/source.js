// The region of the open array: from a copy of the whole channel where that is small, else asked for.

import { getArray } from "../../core/api.js";
import { product } from "../../ops/axes.js";
import { region } from "./state.js";

const WHOLE = 2 ** 20; // values of a channel that are fetched at once
const OVERVIEW = 192; // cells a side of the small picture

/** @param {any} lab */
export function regions(lab) {
  let whole = null; // {key, data, shape}
  let part = null; // {key, data, shape}
  let asking = "";
  let overview = null;
  let looking = "";

  const fail = (error) =>
    error.name !== "AbortError" && lab.note(`${error.message}. ${error.hint ?? ""}`, "bad");

  async function fetchTo(key, path, keep) {
    if (asking === key) return;
    asking = key;
    try {
      const found = await getArray(path);
      if (asking === key) {
        keep({ key, data: Float32Array.from(found.data), shape: found.shape });
        lab.redraw();
      }
    } catch (error) {
      fail(error);
    }
  }

  return {
    /** {data, shape} of the region, or null while it is on its way. */
    now() {
      const { card, state } = lab;
      if (!card) return null;
      const channel = Math.min(state.ch, card.shape[0] - 1);
      const { at, n } = region(state, card);
      const size = card.shape.slice(1);
      const spans = at.map((v, a) => `${v}:${v + n[a]}`).join(",");
      const key = `${card.id}/${channel}`;
      const wanted = `${key}/${spans}`;
      if (part?.key === wanted) return part;
      if (product(size) <= WHOLE) {
        if (whole?.key === key) return (part = { key: wanted, data: cut(whole, at, n), shape: n });
        fetchTo(key, `arrays/${card.id}.npy?channel=${channel}`, (found) => {
          whole = found;
        });
      } else {
        fetchTo(wanted, `arrays/${card.id}.npy?channel=${channel}&region=${spans}`, (found) => {
          part = found;
        });
      }
      return null;
    },
    /** The whole channel, or its middle slice, small: {data, shape, step}; null at first. */
    overview(slice) {
      const { card, state } = lab;
      const size = card.shape.slice(1);
      const channel = Math.min(state.ch, card.shape[0] - 1);
      const flat = size.slice(-2);
      const step =
        size.length === 1
          ? Math.max(1, Math.ceil(size[0] / 2000))
          : Math.max(1, Math.ceil(Math.max(...flat) / OVERVIEW));
      const spans =
        size.length === 3
          ? `&region=${[`${slice}:${slice + 1}`, `0:${size[1]}`, `0:${size[2]}`].join(",")}`
          : "";
      const key = `${card.id}/${channel}/${spans}`;
      if (overview?.key === key) return overview;
      if (looking !== key) {
        looking = key;
        getArray(`arrays/${card.id}.npy?channel=${channel}&step=${step}${spans}`).then((found) => {
          if (looking === key) {
            overview = {
              key,
              step,
              data: Float32Array.from(found.data),
              shape: found.shape.slice(-2),
            };
            lab.redraw();
          }
        }, fail);
      }
      return null;
    },
  };
}

/** A region of an array of one to three axes. */
function cut({ data, shape }, at, n) {
  const [from, size, full] = [at, n, shape].map((v, i) => [
    ...Array(3 - v.length).fill(i === 0 ? 0 : 1),
    ...v,
  ]);
  const result = new Float32Array(product(size));
  let i = 0;
  for (let z = 0; z < size[0]; z += 1)
    for (let y = 0; y < size[1]; y += 1) {
      const start = ((from[0] + z) * full[1] + from[1] + y) * full[2] + from[2];
      result.set(data.subarray(start, start + size[2]), i);
      i += size[2];
    }
  return result;
}
