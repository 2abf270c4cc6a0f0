// Where the boxes of a network stand: pure arithmetic, no page.
//
// Across: the order of the calls. Down: how many halvings below the input. So a classifier is a
// stair, a residual network a stair with arcs, and a U-Net draws its own U.

export const MOST_BOXES = 80;
const LEVEL = 32;
const MARGIN = 62; // for the names of the levels
const TALLEST = 96;
const LEAST_WIDE = 4;
const ABOVE = 44;
const GAP = { least: 5, most: 16 };
const STRETCH = 1.5; // a grid this many times finer is another level; less is a border cut off

/**
 * @typedef {object} Box
 *   id, ids       its number here, and the nodes it stands for; name, word, kind, shape
 *   sources       boxes it reads from, -1 for the input
 *   parameters, macs, kept   sums over its nodes;   main   the node that its word is of
 */

const sum = (nodes, field) => nodes.reduce((total, node) => total + node[field], 0);

/** Nodes -> lists of nodes drawn as one box: what is quiet goes with what it follows. */
function fused(nodes) {
  const home = new Map();
  const groups = [];
  let waiting = [];
  for (const node of nodes) {
    const before = home.get(node.sources[0]);
    if (node.quiet && node.sources.length <= 1 && before !== undefined) {
      groups[before].push(node);
      home.set(node.id, before);
    } else if (node.quiet && node.sources.length <= 1) {
      waiting.push(node); // nothing drawn before it yet
    } else {
      for (const early of waiting) home.set(early.id, groups.length);
      home.set(node.id, groups.length);
      groups.push([...waiting, node]);
      waiting = [];
    }
  }
  return groups;
}

/** Groups joined where they belong to one module `depth` levels down. */
function collapsed(groups, depth) {
  const joined = [];
  let last = null;
  for (const group of groups) {
    const scope = group[group.length - 1].scopes[depth];
    if (scope !== undefined && scope === last) joined[joined.length - 1].push(...group);
    else joined.push([...group]);
    last = scope ?? null;
  }
  return joined;
}

/** Groups, few enough to be drawn side by side; `detail` "layers" leaves all of them. */
export function grouped(nodes, detail = "auto", fitting = MOST_BOXES) {
  const fine = fused(nodes);
  const most =
    detail === "layers" ? Infinity : detail === "blocks" ? 24 : Math.min(MOST_BOXES, fitting);
  const deepest = Math.max(0, ...nodes.map((node) => node.scopes.length - 1));
  let found = fine;
  for (let depth = deepest; depth >= 1 && found.length > most; depth -= 1)
    found = collapsed(fine, depth);
  return found;
}

/** The node that a group is called after: the one that costs most, else the loudest. */
function mainOf(group) {
  const loud = group.filter((node) => !node.quiet);
  const among = loud.length ? loud : group;
  return among.reduce((best, node) => (node.macs > best.macs ? node : best));
}

/** @returns {Box[]} */
export function boxes(nodes, detail, fitting) {
  const groups = grouped(nodes, detail, fitting);
  const home = new Map(groups.flatMap((group, i) => group.map((node) => [node.id, i])));
  return groups.map((group, id) => {
    const main = mainOf(group);
    const from = group.flatMap((node) => node.sources.map((s) => home.get(s) ?? -1));
    const loud = group.filter((node) => !node.quiet);
    const last = loud[loud.length - 1] ?? main;
    return {
      id,
      ids: group.map((node) => node.id),
      main,
      name: loud.length > 1 ? shared(group) : main.name || main.word,
      word: loud.length > 1 ? `${loud.length} layers` : main.word,
      many: loud.length > 1,
      kind: loud.length > 1 ? "block" : kindOf(main),
      shape: last.shape,
      sources: [...new Set(from)].filter((s) => s !== id),
      parameters: sum(group, "parameters"),
      macs: sum(group, "macs"),
      kept: sum(group, "kept"),
    };
  });
}

/** The innermost module that all nodes of a group lie in. */
function shared(group) {
  const [first] = group;
  const common = first.scopes.filter((scope) => group.every((node) => node.scopes.includes(scope)));
  return common[common.length - 1] || first.name;
}

/** What a box is coloured by. */
export function kindOf(node) {
  if (/^Conv/.test(node.kind)) return "conv";
  if (/^(UpConv|Upsample|Unpool|ResizeConv)/.test(node.kind)) return "up";
  if (/Pool/.test(node.kind) || node.kind === "mean") return "pool";
  if (node.kind === "Linear") return "dense";
  return ["cat", "add", "iadd", "radd", "mul", "sum"].includes(node.kind) ? "join" : "other";
}

const halvings = (before, after) => {
  const down = Math.max(...before.map((n, a) => n / after[a]));
  if (down >= STRETCH) return Math.round(Math.log2(down));
  const up = Math.max(...after.map((n, a) => n / before[a]));
  return up >= STRETCH ? -Math.round(Math.log2(up)) : 0;
};

/** How many halvings below the input each box works; without a grid, as deep as what it reads. */
function depths(list, size) {
  const found = [];
  for (const box of list) {
    const grid = box.shape.slice(1);
    const source =
      box.sources.find((s) => s < 0 || list[s].shape.length > 1) ?? box.sources[0] ?? -1;
    const before = source < 0 ? size : list[source].shape.slice(1);
    const level = source < 0 ? 0 : found[source];
    if (grid.length === size.length && before.length === size.length)
      found.push(level + halvings(before, grid));
    else if (grid.length === size.length)
      found.push(halvings(size, grid)); // from a code to a grid
    else found.push(level);
  }
  return found;
}

/**
 * Boxes with places: x, y of the middle, wide, tall, depth; in pixels of a drawing this wide.
 *
 * @returns {{boxes: any[], edges: any[], width: number, height: number, levels: any[]}}
 */
export function layout(nodes, size, width, detail) {
  const list = boxes(nodes, detail, Math.floor((width - MARGIN) / (LEAST_WIDE + GAP.least)));
  const levels = depths(list, size);
  const lowest = Math.min(0, ...levels);
  const largest = Math.max(...size);
  const plain = list.map((box) => sized(box, largest));
  const wanted = plain.reduce((total, [wide]) => total + wide, 0);
  const shrunk = Math.min(1, (width - MARGIN - GAP.least * (list.length + 1)) / wanted);
  const sizes = plain.map(([wide, tall]) => [Math.max(LEAST_WIDE, wide * shrunk), tall]);
  const used = sizes.reduce((total, [wide]) => total + wide, 8);
  const room = (width - MARGIN - used) / (list.length + 1);
  const gap = Math.min(GAP.most * 3, Math.max(GAP.least, room));
  const total = MARGIN + used + gap * (list.length + 1);
  let x = MARGIN + Math.max(0, (width - total) / 2);
  const given = inputBox(nodes[0], size, -lowest, x);
  x += given.wide + gap;
  const placed = list.map((box, i) => {
    const [wide, tall] = sizes[i];
    const depth = levels[i] - lowest;
    const at = { ...box, wide, tall, depth, x: x + wide / 2, y: depth * LEVEL };
    x += wide + gap;
    return at;
  });
  return {
    ...lowered(placed, given),
    edges: edges(placed),
    width: Math.max(width, total),
    levels: levelNames(placed, size),
  };
}

/** The input as a box of its own, left of all others. */
function inputBox(first, size, depth, x) {
  const grid = first.name.startsWith("generator") ? [] : size;
  const [wide, tall] = grid.length ? [6, TALLEST] : [7, 40];
  return { x: x + wide / 2, y: depth * LEVEL, wide, tall };
}

/** All moved down so that arcs and numbers have room above. */
function lowered(placed, given) {
  const all = [given, ...placed];
  const top = Math.min(...all.map((box) => box.y - box.tall / 2));
  for (const box of all) box.y += ABOVE - top;
  return { boxes: placed, given, height: Math.max(...all.map((box) => box.y + box.tall / 2)) + 12 };
}

/** Width by channels, height by size. */
function sized(box, largest) {
  const [channels, ...grid] = box.shape;
  if (!grid.length) return [7, Math.min(TALLEST, 8 + 5 * Math.log2(1 + channels))];
  const tall = Math.max(6, Math.min(TALLEST, (TALLEST * Math.max(...grid)) / largest));
  return [Math.round(3 + 2.2 * Math.log2(1 + channels)), tall];
}

/** 56×56 as 56². */
function gridName(grid) {
  const alike = grid.length > 1 && grid.every((n) => n === grid[0]);
  return alike ? `${grid[0]}${{ 2: "²", 3: "³" }[grid.length]}` : grid.join("×");
}

/** One label a level: the grid that is met there first. */
function levelNames(placed, size) {
  const names = new Map();
  for (const box of placed) {
    const grid = box.shape.slice(1);
    if (grid.length === size.length && !names.has(box.depth))
      names.set(box.depth, { y: box.y, text: gridName(grid) });
  }
  return [...names.values()];
}

/** Lines between boxes: "next" to the neighbour, "across" a valley, or an "arc" above. */
function edges(placed) {
  const found = [];
  for (const box of placed) {
    for (const source of box.sources) {
      if (source < 0) {
        if (box.id === 0) found.push({ from: -1, to: 0, kind: "next" });
        continue;
      }
      const from = placed[source];
      const between = placed.slice(source + 1, box.id);
      const valley =
        between.length > 1 &&
        from.depth === box.depth &&
        between.every((b) => b.depth > box.depth || b.id >= box.id - 1);
      const kind = !between.length ? "next" : valley ? "across" : "arc";
      found.push({ from: source, to: box.id, kind });
    }
  }
  return found;
}
