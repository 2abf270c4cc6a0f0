// Files that the page hands over: made here, never sent anywhere.

const STYLED = [
  "fill",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "opacity",
  "font",
  "fill-opacity",
  "stroke-opacity",
];

/** Save a text under a name. */
export function download(name, kind, content) {
  const address = URL.createObjectURL(new Blob([content], { type: kind }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** A drawing that looks alike outside of the page: its colours written into it. */
export function svgFile(drawing) {
  const copy = drawing.cloneNode(true);
  const [own, copies] = [drawing, copy].map((root) => [root, ...root.querySelectorAll("*")]);
  own.forEach((node, i) => {
    const seen = getComputedStyle(node);
    for (const name of STYLED) copies[i].setAttribute(name, seen.getPropertyValue(name));
    copies[i].removeAttribute("class");
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  paper.setAttribute("width", "100%");
  paper.setAttribute("height", "100%");
  paper.setAttribute("fill", getComputedStyle(document.body).getPropertyValue("--panel"));
  copy.prepend(paper);
  return new XMLSerializer().serializeToString(copy);
}
