// The engine check: a moment after the last change the real layer computes the same, and the foot
// says how far the page's numbers lie from its.

import { askArray } from "../../core/api.js";
import { short } from "../../core/numbers.js";
import { boundsOf } from "./model.js";
import { wish } from "./state.js";

const QUIET_MS = 150;

/** @param {any} lab @param {() => void} arrived */
export function engineCheck(lab, arrived) {
  let timer = 0;
  let asking = null;
  let key = "";
  let values = null;

  async function check(model, asked) {
    asking = new AbortController();
    try {
      const { data, headers } = await askArray("bench/forward", asked, { signal: asking.signal });
      values = data;
      const worst = compare(model, data);
      const layer = headers.get("X-Layer");
      lab.note(
        `engine check ${worst.good ? "✓" : "✗"} max|Δ| = ${short(worst.most)} · ${headers.get("X-Engine-Ms")} ms · ${layer}`,
        worst.good ? "good" : "bad",
      );
      document.documentElement.dataset.checked = worst.good ? "good" : "bad";
      document.documentElement.dataset.delta = String(worst.most);
      arrived();
    } catch (error) {
      if (error.name === "AbortError") return;
      lab.note(`engine check: ${error.message}. ${error.hint ?? ""}`, "bad");
      document.documentElement.dataset.checked = "refused";
    }
  }

  return {
    /** Ask again, if anything that matters has changed. */
    ask(model) {
      const asked = wish(lab.state, lab.card);
      const next = JSON.stringify(asked);
      if (next === key) return;
      key = next;
      values = null;
      clearTimeout(timer);
      asking?.abort();
      delete document.documentElement.dataset.checked;
      lab.note(model.wrong ? "" : "engine check …");
      if (model.wrong) {
        document.documentElement.dataset.checked = "none";
        return;
      }
      timer = setTimeout(() => check(model, asked), QUIET_MS);
    },
    /** The layer's value of an output cell, once it is here. */
    value: (at) => values?.[at],
    stop() {
      clearTimeout(timer);
      asking?.abort();
    },
  };
}

/** Largest difference, and whether every one lies within what float32 may differ by. */
function compare(model, engine) {
  const bounds = boundsOf(model);
  let most = engine.length === model.out.length ? 0 : NaN;
  let good = !Number.isNaN(most);
  for (let i = 0; good && i < engine.length; i += 1) {
    if (Number.isNaN(engine[i]) && Number.isNaN(model.out[i])) continue;
    const difference = Object.is(engine[i], model.out[i]) ? 0 : Math.abs(engine[i] - model.out[i]);
    most = Math.max(most, difference);
    good = difference <= bounds[i] || engine[i] === model.out[i];
  }
  return { most, good };
}
