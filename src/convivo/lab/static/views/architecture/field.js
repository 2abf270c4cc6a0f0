// The receptive field on the input, to scale.

import { svg } from "../../core/dom.js";

const FIELD = 132;

/** What the middle position of a grid sees of the input, to scale; dashed, what its neighbour sees. */
export function fieldPicture(field, size, shape) {
  const axes = size.length > 1 ? [size.length - 1, size.length - 2] : [0, null];
  const largest = Math.max(...axes.filter((a) => a !== null).map((a) => size[a]));
  const scale = FIELD / largest;
  const span = (axis, by) => {
    if (axis === null) return [0, 18];
    const jump = typeof field.jump[axis] === "string" ? 1 : field.jump[axis];
    const start = field.start[axis] + jump * (Math.floor((shape[axis + 1] - 1) / 2) + by);
    return [start * scale, field.size[axis] * scale];
  };
  const whole = (axis) => (axis === null ? 18 : size[axis] * scale);
  const box = (by, style) => {
    const [[x, width], [y, height]] = [span(axes[0], by), span(axes[1], axes[1] === null ? 0 : by)];
    return svg("rect", {
      class: style,
      x,
      y,
      width: Math.max(1, width),
      height: Math.max(1, height),
    });
  };
  const [w, e] = [whole(axes[0]), whole(axes[1])];
  return svg(
    "svg",
    {
      class: "field-picture",
      viewBox: `-14 -14 ${w + 28} ${e + 28}`,
      width: w + 28,
      height: e + 28,
      role: "img",
      "aria-label": "the receptive field on the input, to scale",
    },
    svg("rect", { class: "whole", x: 0, y: 0, width: w, height: e }),
    box(1, "neighbour"),
    box(0, "seen"),
  );
}
