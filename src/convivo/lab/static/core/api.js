// What the page asks of the server. Addresses are relative, so that tunnels and proxies do.

import { parseNpy } from "./npy.js";

const BASE = "api/v1/";

/** What the server refused, with what to do about it. */
export class Refused extends Error {
  /** @param {{code: string, message: string, hint: string}} error */
  constructor(error) {
    super(error.message);
    this.code = error.code;
    this.hint = error.hint;
  }
}

async function answered(response) {
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  const gone = { code: "gone", message: `the lab answered ${response.status}`, hint: "Reload" };
  throw new Refused(body?.error ?? gone);
}

async function asked(path, options = {}) {
  try {
    return await answered(await fetch(BASE + path, { credentials: "same-origin", ...options }));
  } catch (error) {
    if (error instanceof Refused || error.name === "AbortError") throw error;
    const hint = "Start it again: convivo lab";
    throw new Refused({ code: "closed", message: "the lab does not answer", hint });
  }
}

/** A small fact. */
export const get = async (path, options) => (await asked(path, options)).json();

/** Ask something of the engine; `signal` of an AbortController drops it. */
export async function post(path, value, options = {}) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify(value);
  return asked(path, { method: "POST", headers, body, ...options });
}

/** The same where the answer is JSON. */
export const ask = async (path, value, options) => (await post(path, value, options)).json();

/** The same where the answer is an array: {data, shape, headers}. */
export async function askArray(path, value, options) {
  const response = await post(path, value, options);
  return { ...parseNpy(await response.arrayBuffer()), headers: response.headers };
}

/** An array, or a part of it: {data, shape}. */
export async function getArray(path, options) {
  return parseNpy(await (await asked(path, options)).arrayBuffer());
}

const HEADS = /\.(hea|hdr|vhdr|mhd|nhdr)$/i;

/** Send files; the card of what they hold. Of several the one that names the others comes last. */
export async function upload(files) {
  const list = [...files].sort((a, b) => HEADS.test(a.name) - HEADS.test(b.name));
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  const group = Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  let response = null;
  for (const [i, file] of list.entries()) {
    const query = new URLSearchParams({ name: file.name.slice(0, 200) });
    if (list.length > 1) query.set("group", group);
    if (i < list.length - 1) query.set("part", "1");
    response = await asked(`files?${query}`, { method: "PUT", body: file });
  }
  return response.json();
}
