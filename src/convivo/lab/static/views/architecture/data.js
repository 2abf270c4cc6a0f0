// What the server says of networks: asked once for each question, the newest question first.
//
// A question is what `convivo plan` is asked. Its answer, the sizes that a network takes, and its
// memory at each of them are kept; so dragging a size is a look-up.

import { entryOf } from "./program.js";

const SETTLE_MS = 150;
const KEPT = 60;
const AT_ONCE = 6;
const BEYOND = 16; // times this machine's memory: nobody looks there

/** "hidden=1000,;aux=true" -> {hidden: [1000], aux: true}; a comma makes a list. */
export function options(text) {
  const value = (word) => {
    if (word.includes(",")) return word.split(",").filter(Boolean).map(value);
    if (word === "true" || word === "false") return word === "true";
    return /^-?\d+(\.\d+)?$/.test(word) ? Number(word) : word;
  };
  return Object.fromEntries(
    text
      .split(";")
      .filter((part) => part.includes("="))
      .map((part) => {
        const [name, word] = part.split("=");
        return [name, value(word)];
      }),
  );
}

/** The reverse. */
export function optionText(found) {
  const word = (value) => (Array.isArray(value) ? `${value.join(",")},` : String(value));
  return Object.entries(found)
    .map(([name, value]) => `${name}=${word(value)}`)
    .join(";");
}

/** The question that a state of the view asks, of a network as the server lists it. */
export function question(state, entry) {
  const { counted } = entry;
  const usual = entry.size ?? Array(state.dims).fill(counted.samples_per_axis);
  return {
    ...(state.program ? { program: state.program } : {}),
    net: entry.name,
    dims: state.dims,
    channels: state.channels || counted.in_channels,
    size: state.size.length === state.dims ? state.size : usual,
    classes: state.classes || counted.num_classes,
    batch: state.batch,
    mode: state.mode,
    precision: state.precision,
    optimizer: state.optimizer,
    width: state.width,
    options: options(state.options),
  };
}

const keyOf = (asked) => JSON.stringify(asked);

export class Architecture {
  /**
   * @param api core/api.js; @param arrived called when something new is known
   * @param lost called with the error when a program of a link is gone
   */
  constructor(api, arrived, lost) {
    this.lost = lost;
    this.programs = new Map();
    this.api = api;
    this.arrived = arrived;
    this.plans = new Map();
    this.stops = new Map();
    this.points = new Map();
    this.errors = new Map();
    this.planKey = this.sizesKey = this.curveKey = "";
    this.curveDone = false;
    this.last = null;
  }

  async start() {
    this.listed = await this.api.get("arch");
    this.arrived();
  }

  entry(name, program = "") {
    if (program) return this.programs.get(program) ?? this.askProgram(program);
    return (
      this.listed.nets.find((net) => net.name === name) ??
      this.listed.nets.find((net) => net.name === "unet_2015")
    );
  }

  /** A program that was just opened. */
  take(card) {
    this.programs.set(card.id, entryOf(card));
  }

  /** A program of a link: its card is asked for once; null until it is there. */
  askProgram(id) {
    if (this.asking === id) return null;
    this.asking = id;
    const keepCard = (card) => this.take(card);
    const gone = (error) => this.lost(error);
    this.api.get(`arch/programs/${id}`).then(keepCard).catch(gone).finally(this.arrived);
    return null;
  }

  get limit() {
    return this.listed.machine.limit;
  }

  /** The plan of a question, or null while it is on its way. */
  plan(asked) {
    const key = keyOf(asked);
    if (key !== this.planKey) {
      this.planKey = key;
      clearTimeout(this.waiting);
      this.abort?.abort();
      if (!this.plans.has(key))
        this.waiting = setTimeout(() => this.askPlan(key, asked), this.last ? SETTLE_MS : 0);
    }
    return this.plans.get(key) ?? null;
  }

  /** What the server refused of a question, or undefined. */
  error(asked) {
    return this.errors.get(keyOf(asked));
  }

  async askPlan(key, asked) {
    this.abort = new AbortController();
    try {
      const found = await this.api.ask("arch/plan", asked, { signal: this.abort.signal });
      keep(this.plans, key, found);
      this.last = found;
      this.errors.delete(key);
    } catch (error) {
      if (error.name === "AbortError") return;
      keep(this.errors, key, error);
    }
    this.arrived();
  }

  /** Sizes of one axis that the network takes, [] while unknown. */
  sizes(asked, usual) {
    const plain = {
      ...asked,
      size: Array(asked.dims).fill(usual),
      batch: 1,
      mode: "infer",
      precision: "fp32",
    };
    const key = keyOf(plain);
    if (key !== this.sizesKey) {
      this.sizesKey = key;
      if (!this.stops.has(key)) this.askSizes(key, plain);
    }
    return this.stops.get(key) ?? [];
  }

  async askSizes(key, asked) {
    const found = await this.api
      .ask("arch/sizes", asked)
      .catch(() => ({ sizes: [usualOf(asked)] }));
    keep(this.stops, key, found.sizes);
    this.arrived();
  }

  /** Memory at a size, or null while it is not traced; of a refused size {refused}. */
  point(asked, size) {
    return this.points.get(keyOf({ ...asked, size })) ?? null;
  }

  /** The traced part of the curve over `axis` (-1: all axes alike), smallest first. */
  curve(asked, axis, stops) {
    const sizeAt = (n) => asked.size.map((old, a) => (axis < 0 || a === axis ? n : old));
    const key = keyOf([
      { ...asked, size: axis < 0 ? null : asked.size.map((n, a) => (a === axis ? 0 : n)) },
      axis,
      stops.join(),
    ]);
    if (key !== this.curveKey && stops.length) {
      this.curveKey = key;
      this.curveDone = false;
      const now = asked.size[Math.max(0, axis)];
      const nearest = [...stops].sort(
        (a, b) => Math.abs(Math.log(a / now)) - Math.abs(Math.log(b / now)),
      );
      this.trace(key, asked, nearest, sizeAt);
    }
    const found = stops.map((n) => ({ at: n, ...this.point(asked, sizeAt(n)) }));
    return found.filter((p) => p.memory);
  }

  /** In the background, nearest sizes first, as long as nobody asks something else. */
  async trace(key, asked, sizes, sizeAt) {
    const left = sizes.filter((n) => !this.point(asked, sizeAt(n)));
    let most = Infinity;
    while (left.length && key === this.curveKey) {
      const part = left.splice(0, AT_ONCE).filter((n) => n < most);
      if (!part.length) continue;
      const wanted = part.map(sizeAt);
      const found = await this.api.ask("arch/curve", { ...asked, sizes: wanted }).catch(() => null);
      if (!found) break;
      found.points.forEach((p, i) => {
        keep(this.points, keyOf({ ...asked, size: wanted[i] }), p, 50 * KEPT);
        if (this.limit && p.memory?.process_bound > BEYOND * this.limit)
          most = Math.min(most, part[i]);
      });
      this.arrived();
    }
    if (key !== this.curveKey) return;
    this.curveDone = true;
    this.arrived();
  }

  /** Whether all that was asked for is there: nothing on the page will move by itself. */
  get settled() {
    return (
      (this.plans.has(this.planKey) || this.errors.has(this.planKey)) &&
      this.stops.has(this.sizesKey) &&
      this.curveDone
    );
  }
}

const usualOf = (asked) => asked.size[0];

function keep(map, key, value, most = KEPT) {
  map.set(key, value);
  if (map.size > most) map.delete(map.keys().next().value);
}
