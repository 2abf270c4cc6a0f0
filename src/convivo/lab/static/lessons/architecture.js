// Lessons on what a network costs: the sums with which the lecture opens.

import { CARDS, EIGHT_LAYERS, ONE_LAYER } from "../views/architecture/lecture.js";
import { commas } from "../views/architecture/words.js";

const [oneLayer, , tenFeatures] = CARDS;
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
];
