// The .npy format, as far as the lab sends it: C order, little endian.

const KINDS = {
  "<f4": Float32Array,
  "<f8": Float64Array,
  "|u1": Uint8Array,
  "|i1": Int8Array,
  "<i4": Int32Array,
  "<i8": BigInt64Array,
  "<i2": Int16Array,
  "<u2": Uint16Array,
};

/**
 * @param {ArrayBuffer} buffer
 * @returns {{data: any, shape: number[]}}
 */
export function parseNpy(buffer) {
  const bytes = new Uint8Array(buffer);
  const magic = String.fromCharCode(...bytes.subarray(1, 6));
  if (bytes[0] !== 0x93 || magic !== "NUMPY") throw new Error("not an .npy array");
  const view = new DataView(buffer);
  const long = bytes[6] > 1;
  const start = long ? 12 : 10;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder().decode(bytes.subarray(start, start + length));
  const kind = KINDS[/'descr':\s*'([^']+)'/.exec(header)?.[1] ?? ""];
  if (!kind || /'fortran_order':\s*True/.test(header)) throw new Error("an .npy of another kind");
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean)
    .map(Number);
  return {
    data: new kind(
      buffer,
      start + length,
      shape.reduce((a, b) => a * b, 1),
    ),
    shape,
  };
}

/** float32 values as .npy bytes. */
export function formatNpy(data, shape) {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  let header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${sizes}), }`;
  header = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11) + "\n";
  const bytes = new Uint8Array(10 + header.length + 4 * data.length);
  bytes.set([0x93, 78, 85, 77, 80, 89, 1, 0, header.length & 255, header.length >> 8]);
  bytes.set(new TextEncoder().encode(header), 10);
  bytes.set(new Uint8Array(Float32Array.from(data).buffer), 10 + header.length);
  return bytes;
}
