// The region of the open array: from a copy of the whole channel where that is small, else asked for.

import { getArray } from "../../core/api.js";
import { product } from "../../ops/axes.js";
import { region } from "./state.js";

const WHOLE = 2 ** 20; // values of a channel that are fetched at once
const SIDE = 192; // cells of the small picture, along its longer side
const POINTS = 2000; // of the small curve

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
    /** The whole channel, or one slice of it, small: {key, data, shape}; null at first. */
    overview(slice) {
      const { card, state } = lab;
      const size = card.shape.slice(1);
      const channel = Math.min(state.ch, card.shape[0] - 1);
      const first = size.length === 3 ? slice : 0;
      const key = `${card.id}/${channel}/${first}`;
      if (overview?.key === key) return overview;
      if (product(size) <= WHOLE) {
        if (whole?.key !== `${card.id}/${channel}`) return null; // `now` fetches it
        return (overview = { key, ...thinned(whole, first) });
      }
      if (looking !== key) {
        looking = key;
        const path = overviewPath(card, channel, first);
        getArray(path).then(({ data, shape }) => {
          if (looking !== key) return;
          overview = { key, data: Float32Array.from(data), shape: shape.slice(-2) };
          lab.redraw();
        }, fail);
      }
      return null;
    },
  };
}

/** Every so many cells of an axis are enough for a small picture. */
const stepOf = (size) =>
  size.length === 1 ? Math.ceil(size[0] / POINTS) : Math.ceil(Math.max(...size.slice(-2)) / SIDE);

function overviewPath(card, channel, slice) {
  const size = card.shape.slice(1);
  const spans = [`${slice}:${slice + 1}`, `0:${size[1]}`, `0:${size[2]}`].join(",");
  const region = size.length === 3 ? `&region=${spans}` : "";
  return `arrays/${card.id}.npy?channel=${channel}&step=${stepOf(size)}${region}`;
}

/** A slice of an array that is here, cell by so many cells. */
function thinned({ data, shape }, slice) {
  const step = stepOf(shape);
  const [rows, cols] = shape.length === 1 ? [1, shape[0]] : shape.slice(-2);
  const size = [Math.ceil(rows / step), Math.ceil(cols / step)];
  const small = new Float32Array(size[0] * size[1]);
  for (let r = 0; r < size[0]; r += 1) {
    const start = (slice * rows + r * step) * cols;
    for (let c = 0; c < size[1]; c += 1) small[r * size[1] + c] = data[start + c * step];
  }
  return { data: small, shape: shape.length === 1 ? [size[1]] : size };
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
