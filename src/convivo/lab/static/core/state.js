// Permalinks: the state of a view as the hash of the address, read with a whitelist and clamped.
//
// A codec is {initial, parse(text) -> value | undefined, format(value) -> text}. What does not
// parse becomes the initial value. Names of files, paths and data never stand in a link.

/** @typedef {{initial: any, parse: (text: string) => any, format: (value: any) => string}} Codec */

/** One word of a list. @returns {Codec} */
export function choice(words, initial = words[0]) {
  return { initial, parse: (text) => (words.includes(text) ? text : undefined), format: String };
}

/** A whole number, clamped. @returns {Codec} */
export function integer(low, high, initial) {
  const parse = (text) => (/^-?\d{1,9}$/.test(text) ? clamp(Number(text), low, high) : undefined);
  return { initial, parse, format: String };
}

/** A number, clamped. @returns {Codec} */
export function number(low, high, initial) {
  const parse = (text) => (isNumber(text) ? clamp(Number(text), low, high) : undefined);
  return { initial, parse, format: String };
}

/** Yes or no. @returns {Codec} */
export function flag(initial = false) {
  return { initial, parse: (t) => ({ 0: false, 1: true })[t], format: (v) => (v ? "1" : "0") };
}

/** Between `least` and `most` whole numbers, as 1,2,3. @returns {Codec} */
export function integers(least, most, low, high, initial) {
  return list(least, most, integer(low, high, 0).parse, initial);
}

/** The same of any numbers. @returns {Codec} */
export function numbers(least, most, low, high, initial) {
  return list(least, most, number(low, high, 0).parse, initial);
}

function list(least, most, one, initial) {
  const parse = (text) => {
    if (text.length > 40 * most) return undefined;
    const values = text.split(",").map(one);
    const fits = values.length >= least && values.length <= most;
    return fits && !values.includes(undefined) ? values : undefined;
  };
  return { initial, parse, format: (values) => values.join(",") };
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const isNumber = (text) => /^-?(\d+\.?\d*|\.\d+)(e[-+]?\d{1,3})?$/i.test(text) && text.length < 40;

/**
 * The state that a link tells, with initial values where it is silent or wrong.
 * @param {string} hash  as in location.hash
 * @param {Record<string, Codec>} schema
 */
export function decode(hash, schema) {
  const told = new URLSearchParams(hash.replace(/^#/, "").slice(0, 20000));
  const state = {};
  for (const [name, codec] of Object.entries(schema)) {
    const value = told.has(name) ? codec.parse(told.get(name)) : undefined;
    state[name] = value === undefined ? codec.initial : value;
  }
  return state;
}

/** The hash that tells a state; what is as it initially is stays out. */
export function encode(state, schema) {
  const parts = [];
  for (const [name, codec] of Object.entries(schema)) {
    const text = codec.format(state[name]);
    if (text !== codec.format(codec.initial)) {
      parts.push(`${name}=${encodeURIComponent(text).replace(/%2C/g, ",").replace(/%3A/g, ":")}`);
    }
  }
  return `#${parts.join("&")}`;
}
