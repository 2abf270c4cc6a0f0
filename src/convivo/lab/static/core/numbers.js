// Numbers as the lab prints them: float32, four significant digits, a true minus.

const MINUS = "−";
const single = new Float32Array(1);
const bits = new Uint32Array(single.buffer);

const signed = (text) => text.replaceAll("-", MINUS);

/** Four significant digits; whole numbers whole. */
export function short(value, digits = 4) {
  if (!Number.isFinite(value))
    return Number.isNaN(value) ? "NaN" : signed(String(value)).replace("Infinity", "∞");
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return signed(String(value));
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return signed(value.toExponential(digits - 1));
  const text = value.toPrecision(digits);
  return signed(text.includes("e") ? String(Number(text)) : text);
}

/** Four significant digits without the zeros that end them: for what a person typed. */
export function trimmed(value) {
  const text = short(value);
  return text.includes(".") && !text.includes("e")
    ? text.replace(/0+$/, "").replace(/\.$/, "")
    : text;
}

/** As much of a number as a cell of `room` letters holds. */
export function brief(value, room = 4) {
  for (const digits of [4, 3, 2]) {
    const text = short(value, digits)
      .replace(/^(−?)0\./, "$1.")
      .replace(/(\.\d*?)0+$/, "$1")
      .replace(/\.$/, "");
    if (text.length <= room) return text;
  }
  return "";
}

/** The shortest decimal that gives this float32 back. */
export function exact(value) {
  const wanted = Math.fround(value);
  if (!Number.isFinite(wanted) || Number.isInteger(wanted)) return signed(String(wanted));
  for (let digits = 1; digits <= 9; digits += 1) {
    const text = wanted.toPrecision(digits);
    if (Math.fround(Number(text)) === wanted) return signed(String(Number(text)));
  }
  return signed(String(wanted));
}

/** The bits of a float32, as 0x3f800000. */
export function hex(value) {
  single[0] = value;
  return `0x${bits[0].toString(16).padStart(8, "0")}`;
}

/** What `short` and `exact` print, read again. */
export const parsed = (text) => Number(text.replaceAll(MINUS, "-").replace("∞", "Infinity"));

/** 12 345 with thin spaces. */
export const grouped = (value) => String(value).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");

/** The largest |a - b|; NaN where only one of them is. */
export function largestDifference(a, b) {
  let most = 0;
  for (let i = 0; i < a.length; i += 1) {
    const d = Math.abs(a[i] - b[i]);
    if (d > most) most = d;
    if (Number.isNaN(d) && Number.isNaN(a[i]) !== Number.isNaN(b[i])) return NaN;
  }
  return most;
}
