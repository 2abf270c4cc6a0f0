// The cards on convolution, padding, pooling, two small kernels, unpooling and the transposed one.

const BOX5 = {
  shape: [5, 5],
  values: [1, 2, 3, 2, 1, 2, 4, 6, 4, 2, 3, 6, 9, 6, 3, 2, 4, 6, 4, 2, 1, 2, 3, 2, 1],
};

/** @type {import("../lessons.js").Card[]} */
export const cards = [
  {
    title: "Convolution, or cross-correlation?",
    text: "The kernel has a single 1, in its first corner, and lies on an image with a single 1 in the middle. A layer of a network slides it as it is drawn: a cross-correlation. A true convolution turns it by 180° first.",
    question: "Slid as it is drawn, where does the 1 of the image go?",
    choices: ["down and right", "up and left", "it stays"],
    right: 0,
    reveal:
      "Each output takes its upper left neighbour, so the picture moves down and right. Turned, it moves up and left, which is why only the true convolution answers an impulse with the kernel itself. Both agree for kernels that look the same when turned.",
    view: "conv",
    sample: "impulse",
    before: {
      n: [7, 7],
      k: { shape: [3, 3], values: [1, 0, 0, 0, 0, 0, 0, 0, 0] },
      pad: "zeros",
      build: true,
      step: 10,
    },
    after: { build: false, cmp: true, step: 32 },
  },
  {
    title: "Padding",
    text: "A strip of ECG is smoothed by a mean of nine samples. At its ends samples are missing. Circular padding takes them from the other end.",
    question: "What does circular padding do to this strip?",
    choices: [
      "nothing: all ends are alike",
      "it bends both ends towards each other",
      "it shortens the strip",
    ],
    right: 1,
    reveal:
      "The strip does not begin at the level at which it ends, so the mean at each end mixes in samples of the other: a step that no heart made. Mirroring keeps the level. Hover a hatched cell: the arrow shows where it comes from.",
    view: "conv",
    sample: "ecg",
    before: {
      at: [700],
      n: [64],
      k: { shape: [9], values: Array(9).fill(1) },
      pad: "reflect",
      lo: [4],
      hi: [4],
      step: 0,
    },
    after: { pad: "circular" },
  },
  {
    title: "Pooling",
    text: "Windows of 2 × 2, stride 2, over the lecture’s 5 × 5 image; of each the largest is kept.",
    question: "How large is the output?",
    choices: ["3 × 3", "2 × 2", "5 × 5"],
    right: 1,
    reveal:
      "⌊(5 − 2) / 2⌋ + 1 = 2. The last row and column belong to no window: they are cross-hatched, because they are never read. That is no error, but it is worth knowing.",
    view: "conv",
    sample: "lecture",
    before: { op: "pool", n: [5, 5], build: true, step: 0 },
    after: { build: false, step: 3 },
  },
  {
    title: "Two 3 × 3 for one 5 × 5",
    text: "Two layers of 3 × 3 see as far as one of 5 × 5, as the VGG network uses it. Two 3 × 3 kernels of ones in a row are one kernel of 5 × 5.",
    question: "How many weights do the two have, against 25?",
    choices: ["9", "18", "25, it is the same"],
    right: 1,
    reveal:
      "2 · 9 = 18 against 25, with a nonlinearity between the two as a bonus; three of 3 × 3 for one 7 × 7: 27 against 49. The middle counts nine times in this kernel, for nine paths lead there. It also has rank 1: 5 + 5 products do.",
    view: "conv",
    sample: "impulse",
    before: { n: [7, 7], k: { shape: [3, 3], values: Array(9).fill(1) }, pad: "zeros", step: 24 },
    after: { k: BOX5, lo: [2], hi: [2] },
  },
  {
    title: "Unpooling",
    text: "From a coarse grid to a finer one. Nearest neighbour fills each window with its value. A bed of nails sets one sample of each window and leaves zeros. Max-unpooling remembers where pooling found the maximum.",
    question: "Which one puts a value back where it was?",
    choices: ["nearest neighbour", "bed of nails", "max-unpooling"],
    right: 2,
    reveal:
      "The rings show where the maxima were; only there stand values in the output. It needs the places of its paired pooling layer, so the two layers belong together.",
    view: "conv",
    sample: "lecture",
    before: { op: "unpool", up: "bed_of_nails", at: [0, 0], n: [2, 2], step: 1 },
    after: { up: "max", n: [4, 4], step: 2 },
  },
  {
    title: "Transposed convolution",
    text: "Each input paints the kernel, scaled by its value, two cells apart; where strokes overlap, they add up.",
    question: "A 3 × 3 kernel with stride 2 on 2 × 2 inputs: how large is the output?",
    choices: ["4 × 4", "5 × 5", "6 × 6"],
    right: 1,
    reveal:
      "(2 − 1) · 2 + 3 = 5. The same numbers come from inserting zeros and sliding the turned kernel with stride 1 over 7 × 7, which is why slides print “stride 1, padding 2”. 3 is no multiple of 2, so strokes overlap unevenly: the cause of checkerboards.",
    view: "conv",
    sample: "lecture",
    before: {
      op: "transposed",
      at: [0, 0],
      n: [2, 2],
      s: [2],
      pad: "none",
      k: { shape: [3, 3], values: Array(9).fill(1) },
      build: true,
      step: 0,
    },
    after: { build: false, step: 3, read: "scatter" },
  },
];
