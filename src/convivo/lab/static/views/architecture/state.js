// What a link tells of the architecture view.

import { choice, flag, integer, integers, number } from "../../core/state.js";

const text = (pattern, initial) => ({
  initial,
  parse: (t) => (pattern.test(t) ? t : undefined),
  format: String,
});

/** size, channels and outputs are the network's usual ones where a link does not tell them. */
export const schema = {
  net: text(/^[a-z0-9_]{1,30}$/, "unet_2015"),
  dims: integer(1, 3, 2),
  size: integers(1, 3, 1, 131072, []),
  channels: integer(0, 4096, 0),
  classes: integer(0, 100000, 0),
  batch: integer(1, 65536, 1),
  mode: choice(["train", "infer"]),
  precision: choice(["fp32", "bf16", "fp16"]),
  optimizer: choice(["momentum", "sgd", "adam", "adamw"]),
  width: number(1 / 64, 16, 1),
  options: text(/^[a-z0-9_=.,;-]{0,200}$/, ""),
  detail: choice(["auto", "layers", "blocks"]),
  lock: flag(true),
  axis: integer(0, 2, 0),
  pin: integer(-1, 9999, -1),
  run: text(/^([0-9a-f]{24})?$/, ""),
  program: text(/^([0-9a-f]{24})?$/, ""),
};
