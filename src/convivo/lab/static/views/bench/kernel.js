// The kernel editor: type, drag up and down, paste from a spreadsheet, choose, turn, normalise.

import { askArray, get } from "../../core/api.js";
import { colourOf, inkOn, signedScale } from "../../core/colour.js";
import { fill, h, whole } from "../../core/dom.js";
import { exact, parsed, short, trimmed } from "../../core/numbers.js";
import { theme } from "../../core/theme.js";
import { exactSum, lift } from "../../ops/axes.js";
import { separable } from "../../ops/conv.js";

const STEP_PX = 6;
const MOST = 9;

/**
 * @param {{kernel: () => {shape: number[], values: number[]}, change: (k: any) => void, hover: (index: number|null) => void, flip: () => boolean}} host
 */
export function kernelEditor(host) {
  let dims = 0;
  let seed = 0;
  let inputs = [];
  let drawn = "";
  let shown = "";
  let chosen = { name: "", values: "" }; // a name holds as long as its numbers do
  const tables = h("div", { class: "sheets" });
  const sizes = h("span", { class: "field" });
  const facts = h("p", { class: "facts" });
  const presets = h("select", {
    "aria-label": "Kernel by name",
    onchange: () => choose(presets.value),
  });
  const button = (text, title, onclick) => h("button", { type: "button", text, title, onclick });
  const tools = h(
    "div",
    { class: "tools tight small" },
    presets,
    sizes,
    button("Σ = 1", "Normalise: divide by the sum", normalise),
    button("⟲ 180°", "Turn the numbers by 180 degrees", () =>
      host.change({ ...host.kernel(), values: [...host.kernel().values].reverse() }),
    ),
  );
  const element = h(
    "figure",
    { class: "panel role-kernel kernel" },
    h("figcaption", {}, h("span", { text: "Kernel w" })),
    tools,
    tables,
    facts,
  );

  async function offer() {
    const { kernels } = await get(`bench/kernels?dims=${dims}`);
    fill(
      presets,
      h("option", { value: "", text: "kernel …" }),
      ...kernels.map((k) => h("option", { value: k.name, text: k.title })),
    );
  }

  async function choose(name) {
    if (!name) return;
    if (name === "random") seed += 1;
    const size = Math.max(...host.kernel().shape);
    const { data, shape } = await askArray("bench/kernel", { name, dims, size, seed });
    const values = Array.from(data, (v) => parsed(exact(v)));
    chosen = { name, values: values.join() };
    host.change({ shape, values });
  }

  function normalise() {
    const k = host.kernel();
    const sum = exactSum(k.values);
    if (sum) host.change({ ...k, values: k.values.map((v) => parsed(exact(v / sum))) });
  }

  function resize(axis, size) {
    const k = host.kernel();
    const shape = k.shape.map((n, a) => (a === axis ? size : n));
    const [from, to] = [lift(k.shape, 1), lift(shape, 1)];
    const shift = to.map((n, a) => Math.floor((from[a] - n) / 2)); // the middle stays in the middle
    const values = [];
    for (let z = 0; z < to[0]; z += 1)
      for (let y = 0; y < to[1]; y += 1)
        for (let x = 0; x < to[2]; x += 1) {
          const at = [z, y, x].map((p, a) => p + shift[a]);
          const inside = at.every((p, a) => p >= 0 && p < from[a]);
          values.push(inside ? k.values[(at[0] * from[1] + at[1]) * from[2] + at[2]] : 0);
        }
    host.change({ shape, values });
  }

  function put(index, value) {
    const k = host.kernel();
    if (Number.isFinite(value) && value !== k.values[index])
      host.change({ ...k, values: k.values.map((v, i) => (i === index ? value : v)) });
  }

  /** Rows of a spreadsheet become the kernel (or its sheets, parted by an empty line). */
  function paste(event) {
    const text = event.clipboardData.getData("text").trim();
    if (!/[\t\n,; ]/.test(text)) return;
    event.preventDefault();
    const rows = text
      .split(/\r?\n/)
      .filter((row) => row.trim())
      .map((row) =>
        row
          .trim()
          .split(/[\t,; ]+/)
          .map((word) => parsed(word)),
      );
    const wide = rows[0].length;
    if (
      rows.some((row) => row.length !== wide || row.some((v) => !Number.isFinite(v))) ||
      wide > MOST
    )
      return;
    const sheets = dims === 3 ? host.kernel().shape[0] : 1;
    const shape = [[wide], [rows.length, wide], [sheets, rows.length / sheets, wide]][dims - 1];
    if (shape.some((n) => !Number.isInteger(n) || n > MOST) || (dims === 1 && rows.length > 1))
      return;
    host.change({ shape, values: rows.flat() });
  }

  function cell(index) {
    const input = h("input", {
      type: "text",
      inputmode: "decimal",
      class: "weight",
      "aria-label": `weight ${index + 1}`,
      autocomplete: "off",
      spellcheck: "false",
    });
    input.addEventListener("input", () => (input.dataset.typing = "1"));
    input.addEventListener("blur", () => delete input.dataset.typing);
    input.addEventListener("change", () => put(index, parsed(input.value.replace(",", "."))));
    input.addEventListener("keydown", (e) => {
      const by = { ArrowUp: 1, ArrowDown: -1 }[e.key];
      if (e.key === "Enter") input.blur();
      if (by) {
        e.preventDefault();
        put(index, tidy(host.kernel().values[index] + by * (e.shiftKey ? 0.01 : 0.1)));
      }
    });
    input.addEventListener("paste", paste);
    input.addEventListener("pointerenter", () => host.hover(index));
    input.addEventListener("pointerleave", () => host.hover(null));
    input.addEventListener("focus", () => {
      host.hover(index);
      input.select();
    });
    input.addEventListener("blur", () => host.hover(null));
    drag(input, index);
    return input;
  }

  /** Up is more: 0.1 a step, with Shift 0.01. */
  function drag(input, index) {
    input.addEventListener("dragstart", (event) => event.preventDefault()); // of selected text
    input.addEventListener("pointerdown", (down) => {
      const start = { y: down.clientY, value: host.kernel().values[index], moved: false };
      const move = (e) => {
        const steps = Math.trunc((start.y - e.clientY) / STEP_PX);
        if (!steps && !start.moved) return;
        start.moved = true;
        input.setPointerCapture(down.pointerId);
        put(index, tidy(start.value + steps * (e.shiftKey ? 0.01 : 0.1)));
      };
      const end = () => {
        input.removeEventListener("pointermove", move);
        if (start.moved) input.blur();
      };
      input.addEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"])
        input.addEventListener(name, end, { once: true });
    });
  }

  function furnish(k) {
    const [sheets, rows, cols] = lift(k.shape, 1);
    inputs = k.values.map((_, i) => cell(i));
    const table = (z) =>
      h(
        "div",
        { class: sheets > 1 || cols > 5 ? "weights dense" : "weights" },
        ...Array.from({ length: rows }, (_, r) =>
          h("div", {}, ...inputs.slice((z * rows + r) * cols, (z * rows + r + 1) * cols)),
        ),
      );
    fill(
      tables,
      ...Array.from({ length: sheets }, (_, z) =>
        h(
          "div",
          { class: "sheet" },
          dims === 3 ? h("span", { class: "sheet-name", text: `slice ${z}` }) : null,
          table(z),
        ),
      ),
    );
    fill(
      sizes,
      h("span", { text: "size" }),
      ...k.shape.map((n, a) =>
        whole(n, 1, MOST, (v) => resize(a, v), {
          "aria-label": `kernel size, axis ${a + 1}`,
          class: "tiny",
        }),
      ),
    );
  }

  return {
    element,
    draw(lit) {
      const k = host.kernel();
      const key = [k.shape, k.values, lit, host.flip(), theme()].join(";");
      if (key === shown) return;
      shown = key;
      if (k.shape.length !== dims) {
        dims = k.shape.length;
        offer().catch(() => {});
      }
      const form = k.shape.join("x");
      if (form !== drawn) {
        drawn = form;
        furnish(k);
      }
      const scale = signedScale(k.values);
      inputs.forEach((input, i) => {
        const colour = colourOf(scale, k.values[i]);
        const typing = document.activeElement === input && input.dataset.typing;
        if (!typing) input.value = trimmed(k.values[i]);
        input.style.backgroundColor = `rgb(${colour.join(" ")})`;
        input.style.color = inkOn(colour);
        input.classList.toggle("lit", lit === i);
      });
      presets.value = chosen.values === k.values.join() ? chosen.name : "";
      facts.textContent = told(k, host.flip());
    },
  };
}

const tidy = (value) => Number(value.toFixed(6));

/** What there is to say of a kernel. */
function told(k, flip) {
  const sum = Math.fround(exactSum(k.values));
  const same = k.values.every((v, i) => v === k.values[k.values.length - 1 - i]);
  const parts = [`Σw = ${short(sum)}`];
  if (sum === 0 && k.values.some(Boolean)) parts.push("flat parts vanish");
  if (sum === 1) parts.push("flat parts stay");
  if (same) parts.push("the same when turned by 180°");
  const shape = k.shape.filter((n) => n > 1);
  if (separable(k.values, lift(k.shape, 1)))
    parts.push(
      `rank 1: ${shape.join(" + ")} products an output instead of ${shape.reduce((a, b) => a * b, 1)}`,
    );
  if (flip) parts.push("met turned by 180°");
  return parts.join(" · ");
}
