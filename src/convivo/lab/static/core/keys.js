// The keys that mean the same in every view, and the list behind "?".

import { h } from "./dom.js";

export const KEYS = [
  ["1 … 6", "views"],
  ["hover", "preview"],
  ["click, Enter", "pin a cell"],
  ["Esc", "end the preview, close"],
  ["arrows", "move the pin"],
  ["Shift + arrows", "move it by a window"],
  ["Space", "play, pause"],
  [", and .", "one step back, on"],
  ["Home, End", "first, last step"],
  ["PgUp, PgDn", "slice of a volume"],
  ["+ and −", "zoom: a smaller, a larger region"],
  ["f", "flip the kernel"],
  ["d", "data"],
  ["l", "lessons"],
  ["t", "light, dark"],
  ["?", "this list"],
];

/** Which way a key moves a cell: slice, row, column. */
export const MOVES = {
  ArrowUp: [0, -1, 0],
  ArrowDown: [0, 1, 0],
  ArrowLeft: [0, 0, -1],
  ArrowRight: [0, 0, 1],
  PageUp: [-1, 0, 0],
  PageDown: [1, 0, 0],
};

/** The list as a dialog. */
export function keyList() {
  const rows = KEYS.map(([key, does]) =>
    h("tr", {}, h("th", { scope: "row" }, h("kbd", { text: key })), h("td", { text: does })),
  );
  const dialog = h(
    "dialog",
    { "aria-labelledby": "keys-title" },
    h(
      "form",
      { method: "dialog", class: "head" },
      h("h2", { id: "keys-title", text: "Keys" }),
      h("button", { text: "Close" }),
    ),
    h("table", { class: "keys" }, h("tbody", {}, ...rows)),
  );
  document.body.append(dialog);
  return dialog;
}

/** Whether a key belongs to the control that has the focus: it types, or it moves a slider. */
export function taken(event) {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  // open: a dialog that was just closed holds the focus until the next frame
  if (target.closest?.("dialog[open]")) return true;
  const tag = target.tagName;
  if (tag === "SELECT" || tag === "TEXTAREA") return true;
  if (tag === "INPUT") return target.type !== "checkbox" || event.key === " ";
  return (tag === "BUTTON" || tag === "SUMMARY") && (event.key === " " || event.key === "Enter");
}
