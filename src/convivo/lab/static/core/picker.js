// The data picker: own file first, then the folders of the command line, then samples.

import { fill, h } from "./dom.js";
import * as api from "./api.js";

const KIND = { signal: "1D", image: "2D", volume: "3D" };
const ACCEPT =
  ".png,.jpg,.jpeg,.bmp,.tif,.tiff,.npy,.npz,.nii,.gz,.edf,.bdf,.csv,.tsv,.txt,.nrrd,.mha,.mhd,.raw,.dcm,.hea,.dat,.hdr,.img";

/**
 * A dialog that calls `onpick(card)`.
 * @param {(card: any) => void} onpick
 */
export function picker(onpick) {
  const note = h("p", { class: "error", role: "alert" });
  const cards = h("div", { class: "cards" });
  const field = h("input", {
    type: "search",
    class: "find",
    placeholder: "part of a name",
    "aria-label": "find a file by part of its name",
    oninput: () => narrow(),
  });
  const title = h("h3", { text: "Folders of the command line" });
  const files = h("div", { hidden: true }, title, field, cards);
  const samples = h("div", { class: "cards" });
  const chosen = h("input", {
    type: "file",
    multiple: true,
    accept: ACCEPT,
    id: "file",
    onchange: () => send(chosen.files),
  });
  const drop = h(
    "div",
    { class: "drop" },
    h("label", { for: "file", text: "Open your own file, or files that belong together" }),
    chosen,
    h("p", {
      class: "muted",
      text: "or drop it anywhere. It stays on this machine. PNG, JPEG, NIfTI, DICOM, EDF, WFDB (.hea and .dat), CSV, NumPy …",
    }),
  );
  const dialog = h(
    "dialog",
    { "aria-labelledby": "picker-title" },
    h(
      "form",
      { method: "dialog", class: "head" },
      h("h2", { id: "picker-title", text: "Data" }),
      h("button", { text: "Close" }),
    ),
    drop,
    note,
    files,
    h("h3", { text: "Samples, made by seed" }),
    samples,
  );
  document.body.append(dialog);

  async function attempt(work) {
    note.textContent = "";
    dialog.setAttribute("aria-busy", "true");
    try {
      onpick(await work());
      dialog.close();
    } catch (error) {
      note.textContent = error.hint ? `${error.message}. ${error.hint}.` : String(error.message);
      if (!dialog.open) dialog.showModal();
      note.scrollIntoView({ block: "center" }); // the list may be long
    } finally {
      dialog.removeAttribute("aria-busy");
    }
  }

  const send = (sent) => sent?.length && attempt(() => api.upload(sent));
  const card = (title, about, kind, body) =>
    h(
      "button",
      { type: "button", class: "card", onclick: () => attempt(() => api.ask("open", body)) },
      h("span", { class: "badge", text: KIND[kind] ?? "file" }),
      h("strong", { text: title }),
      h("span", { class: "muted", text: about }),
    );

  async function list() {
    const found = await api.get("sources").catch(() => ({ samples: [], files: [] }));
    fill(samples, ...found.samples.map((s) => card(s.title, s.about, s.kind, { sample: s.name })));
    fill(cards, ...found.files.map((f) => card(f.name, f.root, "", { entry: f.entry })));
    files.hidden = !found.files.length;
    narrow(); // what was typed before the list came
  }

  /** Leave the cards with what is typed in their names. */
  function narrow() {
    const part = field.value.toLowerCase();
    const named = (one) => one.querySelector("strong").textContent.toLowerCase();
    for (const one of cards.children) one.hidden = !named(one).includes(part);
  }

  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    send(event.dataTransfer?.files);
  });
  return {
    open: () => {
      field.value = "";
      list();
      dialog.showModal();
    },
  };
}
