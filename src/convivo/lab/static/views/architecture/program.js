// Your own module: the graph of an exported program is taken out of its file here, in the page.
// Weights and sample inputs stay where they are; only models/model.json is sent.

const END = 0x06054b50; // of a ZIP archive: the record that tells where its list of files is
const ENTRY = 0x02014b50;
const MOST_END = 65_557; // a comment may follow
const MOST = 2 ** 24;
const WANTED = /(^|\/)models\/model\.json$/;
export const HOW =
  "torch.export.save(torch.export.export(net, (example,), dynamic_shapes=…), 'net.pt2')";

const wrong = (message) =>
  Object.assign(new Error(message), { hint: `Export your module so: ${HOW}` });

const part = async (file, from, to) => new DataView(await file.slice(from, to).arrayBuffer());

/** Where the list of files lies: [offset, bytes, how many]. */
async function list(file) {
  const start = Math.max(0, file.size - MOST_END);
  const tail = await part(file, start, file.size);
  for (let at = tail.byteLength - 22; at >= 0; at -= 1)
    if (tail.getUint32(at, true) === END)
      return [16, 12]
        .map((b) => tail.getUint32(at + b, true))
        .concat(tail.getUint16(at + 10, true));
  throw wrong("this is no exported program");
}

/** The text of models/model.json, which torch stores as it is. @param {File} file */
export async function graphOf(file) {
  const [offset, size, count] = await list(file);
  const entries = await part(file, offset, offset + size);
  const words = new TextDecoder();
  let at = 0;
  for (let i = 0; i < count && at + 46 <= entries.byteLength; i += 1) {
    if (entries.getUint32(at, true) !== ENTRY) break;
    const [name, extra, comment] = [28, 30, 32].map((b) => entries.getUint16(at + b, true));
    const title = words.decode(new Uint8Array(entries.buffer, at + 46, name));
    if (WANTED.test(title)) return stored(file, entries, at);
    at += 46 + name + extra + comment;
  }
  throw wrong("this archive holds no exported program");
}

async function stored(file, entries, at) {
  const method = entries.getUint16(at + 10, true);
  const [size, head] = [20, 42].map((b) => entries.getUint32(at + b, true));
  if (method !== 0 || size > MOST) throw wrong("its graph is compressed, or too large");
  const local = await part(file, head, head + 30);
  const start = head + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  return file.slice(start, start + size).text();
}

/** Open a file; its card, with `id`, `channels`, `size`, `classes`, `parameters`. */
export async function openProgram(api, file) {
  const body = await graphOf(file);
  const path = `arch/programs?name=${encodeURIComponent(file.name.slice(0, 200))}`;
  return api.ask(path, null, { method: "PUT", body });
}

/** A program as an entry of the list of networks. */
export const entryOf = (card) => ({
  name: "program",
  task: "own",
  paper: `${card.name}: your own module; weights were not read`,
  counted: {
    in_channels: card.channels,
    num_classes: card.classes,
    samples_per_axis: card.size[0],
  },
  size: card.size,
});
