// Lessons: short cards that follow the lecture, each "guess, then reveal" in one of the views.

import { h } from "./core/dom.js";

/** The cards as a dialog. */
export function lessons(_lab) {
  const dialog = h(
    "dialog",
    { "aria-labelledby": "lessons-title" },
    h(
      "form",
      { method: "dialog", class: "head" },
      h("h2", { id: "lessons-title", text: "Lessons" }),
      h("button", { text: "Close" }),
    ),
  );
  document.body.append(dialog);
  return { open: () => dialog.showModal() };
}
