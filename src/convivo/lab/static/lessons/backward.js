// Lessons on the backward pass: a gradient by hand, and a step with momentum.

const FIGURE = { op: "conv", src: "small", dims: 2, g: "ones" };

export const cards = [
  {
    title: "A gradient by hand",
    text: "The lecture's figure: 5 × 5, padded by one zero, stride 2, nine outputs. L is their sum, so G is 1 everywhere. The centre of the kernel meets the samples in rows 0, 2, 4 and columns 0, 2, 4.",
    question: "What is ∂L/∂w[1, 1]?",
    choices: ["9, one for each output", "19, the sum of those samples", "47, the loss itself"],
    right: 1,
    reveal:
      "∂L/∂w[1, 1] = Σ G · I over the nine outputs = (2 + 3 + 3) + (2 + 0 + 3) + (3 + 0 + 3) = 19. Every weight's gradient is the sum of the samples that it has met, each times what comes from above.",
    view: "backward",
    before: { ...FIGURE, of: "w", cell: 4, step: 0 },
    after: { step: 8 },
  },
  {
    title: "Momentum",
    text: "Rate η = 0.01, momentum μ = 0.9. The gradient of w[0, 0] is 5 and stays 5. The first step has moved the weight by 0.01 × 5 = 0.05.",
    question: "How far does the second step move it?",
    choices: ["0.045", "0.05", "0.095", "0.14"],
    right: 2,
    reveal:
      "v′ = 0.9 × 5 + 5 = 9.5, and w′ = 1.95 − 0.01 × 9.5 = 1.855: a move of 0.095. While the gradient keeps its direction steps grow, up to 1 / (1 − μ) = ten times the plain one.",
    view: "backward",
    before: { ...FIGURE, of: "w", cell: 0, lr: 0.01, mo: 0.9, t: 0 },
    after: { t: 1 },
  },
];
