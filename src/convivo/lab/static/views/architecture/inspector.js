// The inspector of the architecture: the box looked at, the memory, a run's measurement, files.

import { fill, h } from "../../core/dom.js";
import { csv, download, svgFile } from "./files.js";
import { boxFacts, comparison, memoryTable } from "./words.js";

const ABOUT = "Height: size of the grid. Width: channels. Down: each level halves the grid.";

/** @param lab @param files {plan: () => plan, drawing: () => SVG element} */
export function inspector(lab, files) {
  const [title, word, kind] = [h("h2"), h("p", { class: "muted" }), h("h3")];
  const [facts, memory, run] = [h("div"), h("div"), h("div")];
  const save = (text, suffix, type, content) =>
    h("button", {
      type: "button",
      text,
      title: `Save as .${suffix}`,
      onclick: () => download(`${files.plan().question.net}.${suffix}`, type, content()),
    });
  const saving = h(
    "div",
    { class: "tools downloads" },
    save("CSV", "csv", "text/csv", () => csv(files.plan())),
    save("SVG", "svg", "image/svg+xml", () => svgFile(files.drawing())),
  );
  fill(lab.inspector, title, word, facts, kind, memory, run, saving);

  return {
    draw({ box, plan, asked, totals, opened }) {
      title.textContent = box ? box.name || box.word : "Hover a box, click to pin it";
      word.textContent = box ? box.word : ABOUT;
      fill(facts, ...(box ? boxFacts(box, plan, asked.batch) : []));
      const use = asked.mode === "train" ? "training" : "inference";
      kind.textContent = `Memory, ${use}, batch ${asked.batch}`;
      fill(memory, memoryTable(totals));
      const head = opened && h("h3", { text: `Run ${opened.name}: predicted beside measured` });
      fill(run, ...(opened ? [head, comparison(opened)] : []));
    },
  };
}
