// A panel: a figure with a caption in the colour of its role, grids, and the legend of its colours.

import { tableOf } from "./colour.js";
import { fill, h } from "./dom.js";
import { Grid } from "./grid.js";
import { short } from "./numbers.js";
import { theme } from "./theme.js";

export class Panel {
  /**
   * @param {string} role   input, kernel, output, gradient, bias, error: its colour
   * @param {string} title
   * @param {{hover?: Function, pin?: Function}} [on]  as of Grid, with the sheet as a second argument
   */
  constructor(role, title, on = {}) {
    this.on = on;
    this.title = title;
    this.caption = h("span", { text: title });
    this.detail = h("small");
    this.sheets = h("div", { class: "sheets" });
    this.grids = [];
    this.legend = h("div", { class: "scale" });
    this.element = h(
      "figure",
      { class: `panel role-${role}` },
      h("figcaption", {}, this.caption, this.detail),
      this.sheets,
      this.legend,
    );
    this.drawn = "";
  }

  /**
   * Draw one picture a sheet (the slices of a volume, else one).
   * @param {import("./grid.js").Picture[]} pictures
   * @param {import("./marks.js").Mark[][]} marks
   * @param {string[]} [names]  of the sheets
   */
  draw(pictures, marks, detail = "", names = []) {
    if (this.grids.length !== pictures.length) this.furnish(pictures.length);
    this.detail.textContent = detail;
    pictures.forEach((picture, i) => {
      this.grids[i].draw(picture, marks[i] ?? []);
      this.labels[i].textContent = names[i] ?? "";
      this.labels[i].hidden = !names[i];
    });
    this.drawLegend(pictures[0].scale);
  }

  furnish(count) {
    this.labels = Array.from({ length: count }, () => h("span", { class: "sheet-name" }));
    this.grids = this.labels.map(
      (_, i) =>
        new Grid(`${this.title}${count > 1 ? `, sheet ${i + 1}` : ""}`, {
          hover: (cell) => this.on.hover?.(cell, i),
          pin: (cell) => this.on.pin?.(cell, i),
        }),
    );
    fill(
      this.sheets,
      ...this.grids.map((grid, i) => h("div", { class: "sheet" }, this.labels[i], grid.element)),
    );
  }

  /** The colours with the numbers they stand for. */
  drawLegend(scale) {
    const key = [scale.kind, scale.low, scale.high, theme()].join();
    if (key === this.drawn) return;
    this.drawn = key;
    const bar = h("canvas", { width: 256, height: 1, "aria-hidden": "true" });
    const image = new ImageData(256, 1);
    const colours = tableOf(scale);
    for (let i = 0; i < 256; i += 1)
      image.data.set([colours[3 * i], colours[3 * i + 1], colours[3 * i + 2], 255], 4 * i);
    bar.getContext("2d").putImageData(image, 0, 0);
    const zero = scale.kind === "signed" ? h("span", { text: "0" }) : null;
    fill(
      this.legend,
      h("span", { text: short(scale.low) }),
      bar,
      zero,
      zero ? bar.cloneNode() : null,
      h("span", { text: short(scale.high) }),
    );
    if (zero) {
      const [left, right] = this.legend.querySelectorAll("canvas");
      for (const [half, start] of [
        [left, 0],
        [right, 128],
      ]) {
        half.width = 128;
        half.getContext("2d").putImageData(image, -start, 0);
      }
    }
  }
}
