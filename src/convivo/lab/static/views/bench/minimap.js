// Where the region lies in the whole: a small picture with a box to drag.

import { extent, greyScale } from "../../core/colour.js";
import { h } from "../../core/dom.js";
import { pixels } from "../../core/pixels.js";
import { theme, token } from "../../core/theme.js";
import { region } from "./state.js";

const SIDE = 150;

/** @param {any} lab @param {{overview: (slice: number) => any}} source */
export function minimap(lab, source) {
  const canvas = h("canvas", {
    class: "minimap",
    role: "img",
    "aria-label": "Where the region lies; the numbers beside it move it",
  });
  let geometry = null;
  let drawn = "";
  canvas.addEventListener("pointerdown", (e) => {
    canvas.setPointerCapture(e.pointerId);
    move(e);
  });
  canvas.addEventListener("pointermove", (e) => {
    if (e.buttons) move(e);
  });

  function move(event) {
    if (!geometry) return;
    const box = canvas.getBoundingClientRect();
    const { at, n } = region(lab.state, lab.card);
    const size = lab.card.shape.slice(1);
    const place2 = [
      (event.clientY - box.top) / geometry.scale[0],
      (event.clientX - box.left) / geometry.scale[1],
    ];
    const middle =
      size.length === 1
        ? [place2[1]]
        : [...(size.length === 3 ? [at[0] + n[0] / 2] : []), ...place2];
    lab.set({
      at: middle.map((m, a) => Math.min(size[a] - n[a], Math.max(0, Math.round(m - n[a] / 2)))),
    });
  }

  function draw() {
    const { at, n } = region(lab.state, lab.card);
    const size = lab.card.shape.slice(1);
    const seen = source.overview(
      size.length === 3 ? Math.min(size[0] - 1, at[0] + Math.floor(n[0] / 2)) : 0,
    );
    const key = [lab.card.id, seen?.key, at, n, theme(), devicePixelRatio].join();
    if (!seen || key === drawn) return;
    drawn = key;
    const signal = size.length === 1;
    const full = signal ? [1, size[0]] : size.slice(-2);
    const zoom = signal ? null : Math.min(SIDE / full[0], (SIDE * 1.4) / full[1]);
    const [height, width] = signal ? [64, 230] : full.map((v) => Math.max(8, Math.round(v * zoom)));
    const ratio = devicePixelRatio || 1;
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    geometry = { scale: [height / full[0], width / full[1]] };
    if (signal) curve(pen, seen.data, width, height);
    else image(pen, seen, width, height);
    const last = at.length - 1;
    const [y, e] = signal
      ? [1, height - 2]
      : [at[last - 1] * geometry.scale[0], n[last - 1] * geometry.scale[0]];
    const wide = Math.max(3, n[last] * geometry.scale[1]);
    for (const [colour, thick] of [
      ["--panel", 4], // a rim, so that it is seen on every image
      ["--input", 2],
    ]) {
      pen.strokeStyle = token(colour);
      pen.lineWidth = thick;
      pen.strokeRect(at[last] * geometry.scale[1], y, wide, Math.max(3, e));
    }
  }

  return { element: canvas, draw };
}

function curve(pen, data, width, height) {
  const [low, high] = extent(data);
  pen.strokeStyle = token("--ink");
  pen.lineWidth = 1;
  pen.beginPath();
  data.forEach((v, i) =>
    pen.lineTo((i / data.length) * width, 3 + (height - 6) * (1 - (v - low) / (high - low || 1))),
  );
  pen.stroke();
}

function image(pen, { data, shape: [rows, cols] }, width, height) {
  pen.imageSmoothingEnabled = false;
  pen.drawImage(pixels(data, rows, cols, greyScale(data)), 0, 0, width, height);
}
