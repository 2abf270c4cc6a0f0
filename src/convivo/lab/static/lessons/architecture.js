// Lessons on what a network costs: the sums with which the lecture opens, and growth with the input.

import { CARDS, EIGHT_LAYERS, ONE_LAYER } from "../views/architecture/lecture.js";
import { commas } from "../views/architecture/words.js";

const [oneLayer, eightLayers, tenFeatures] = CARDS;
const PLAIN = { net: "lenet5", dims: 2 };

export const cards = [
  {
    title: "One hidden layer",
    text: "An image of 200 × 200, one layer of 1,000 neurons, each connected to every pixel, one output. Numbers are float32, 4 bytes each.",
    question: "How much memory do input, weights and biases take?",
    choices: ["about 160 kB", "about 16 MB", "about 160 MB"],
    right: 2,
    reveal: `${ONE_LAYER.lines.at(-1)}. With eight narrower layers: ${commas(EIGHT_LAYERS.total)} bytes, about 14 GB, before anything is learnt.`,
    view: "arch",
    before: PLAIN,
    after: oneLayer.state,
  },
  {
    title: "Eight narrow layers",
    text: eightLayers.about.split(".")[0],
    question: "One layer of 1,000 took 160 MB. And these eight?",
    choices: ["about 1.3 GB", "about 14 GB", "about 140 GB"],
    right: 1,
    reveal: `${EIGHT_LAYERS.lines.at(-1)}. Three quarters of it lie in the first two layers; training adds as much again for the gradients, and again for the momentum.`,
    view: "arch",
    before: oneLayer.state,
    after: eightLayers.state,
  },
  {
    title: "Ten features, two ways",
    text: "Ten features of a 200 × 200 image, each connected to all pixels: 10 × 40,000 + 10 = 400,010 parameters.",
    question: "And with ten filters of 5 × 5?",
    choices: ["260", "10,400", "400,010 as well"],
    right: 0,
    reveal:
      "10 × 5 × 5 + 10 = 260, whatever the size of the image: the same weights are used at every place. And the output is not ten numbers but ten images, 10 × 200 × 200.",
    view: "arch",
    before: PLAIN,
    after: tenFeatures.state,
  },
  {
    title: "Twice the side",
    text: "A U-Net takes a volume of 64 × 64 × 64. What its layers keep for the backward pass grows with the number of samples.",
    question: "Twice the side, 128 × 128 × 128: how much more do the outputs take?",
    choices: ["2 times", "4 times", "8 times"],
    right: 2,
    reveal:
      "2 × 2 × 2 = 8 times. Parameters stay as they are, so small inputs are ruled by the weights and large ones by the outputs: drag the size, and see where this machine ends.",
    view: "arch",
    before: { net: "unet", dims: 3, size: [64, 64, 64] },
    after: { size: [128, 128, 128] },
  },
];
