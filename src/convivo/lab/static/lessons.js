// Lessons: cards that follow the lecture, each "guess, then reveal" in one of the views.

/**
 * @typedef {object} Card
 * @property {string} title
 * @property {string} text        what it is about, in two or three sentences
 * @property {string} question    one line
 * @property {string[]} choices   two to four answers
 * @property {number} right       the index of the right one
 * @property {string} reveal      what is seen, and why
 * @property {string} view        where it takes place
 * @property {string} [sample]    and on which data
 * @property {any} before         state of that view before the guess
 * @property {any} after          and what of it changes then
 */

import { fill, h } from "./core/dom.js";
import { cards as architecture } from "./lessons/architecture.js";
import { cards as backward } from "./lessons/backward.js";
import { cards as bench } from "./lessons/bench.js";

const CARDS = [...bench, ...backward, ...architecture];

/** The lessons as a card over the stage. @param {any} lab */
export function lessons(lab) {
  let at = 0;
  let guess = -1;
  const element = h("section", { class: "lesson", "aria-label": "Lesson", hidden: true });
  document.body.append(element);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });

  function close() {
    element.hidden = true;
    lab.stage.focus();
  }

  async function turn(to) {
    at = Math.min(CARDS.length - 1, Math.max(0, to));
    guess = -1;
    draw();
    await lab.go(CARDS[at].view, CARDS[at].before, CARDS[at].sample).catch(() => {});
  }

  async function answer(choice) {
    const card = CARDS[at];
    guess = choice;
    draw();
    lab.live(`${choice === card.right ? "Right" : "Not quite"}. ${card.reveal}`);
    await lab.go(card.view, { ...card.before, ...card.after }, card.sample).catch(() => {});
  }

  function choiceButton(text, i) {
    const { right } = CARDS[at];
    const told = guess >= 0;
    const mark = !told ? "" : i === right ? "✓ " : i === guess ? "✗ " : "";
    const kind = !told ? "" : i === right ? "right" : i === guess ? "wrong" : "";
    return h(
      "button",
      { type: "button", class: kind, disabled: told, onclick: () => answer(i) },
      mark + text,
    );
  }

  function draw() {
    const card = CARDS[at];
    const button = (text, onclick, disabled = false) =>
      h("button", { type: "button", text, onclick, disabled });
    fill(
      element,
      h(
        "div",
        { class: "head" },
        h("span", { class: "muted", text: `Lesson ${at + 1} of ${CARDS.length}` }),
        button("Close", close),
      ),
      h("h2", { text: card.title }),
      h("p", { text: card.text }),
      h("p", { class: "question", text: card.question }),
      h(
        "div",
        { class: "choices", role: "group", "aria-label": card.question },
        ...card.choices.map(choiceButton),
      ),
      guess < 0
        ? null
        : h(
            "p",
            { class: "reveal" },
            h("strong", { text: guess === card.right ? "Right. " : "Not quite. " }),
            card.reveal,
          ),
      h(
        "div",
        { class: "turns" },
        button("Back", () => turn(at - 1), at === 0),
        button("Again", () => turn(at)),
        button("Next", () => turn(at + 1), at === CARDS.length - 1),
      ),
    );
    element
      .querySelector(
        guess < 0 ? ".choices button" : ".turns button:last-child:not([disabled]), .turns button",
      )
      ?.focus({ preventScroll: true });
  }

  return {
    open() {
      element.hidden = false;
      turn(at);
    },
  };
}
