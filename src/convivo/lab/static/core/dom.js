// Elements in one line. Text is always text: nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";
const MATHML = "http://www.w3.org/1998/Math/MathML";

/**
 * An element with properties and children; `on...` properties are listeners, a `text` is its text.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  return furnished(document.createElement(tag), props, children);
}

/** The same for a drawing. @returns {any} */
export function svg(tag, props = {}, ...children) {
  return furnished(document.createElementNS(SVG, tag), props, children);
}

/** The same for a formula. @returns {any} */
export function math(tag, props = {}, ...children) {
  return furnished(document.createElementNS(MATHML, tag), props, children);
}

function furnished(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((c) => c || c === 0 || c === ""));
  return element;
}

/** Put these children in place of what is there. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((c) => c || c === ""));
  return element;
}

/** A labelled native control on one line. */
export function field(label, control, title = "") {
  return h("label", { class: "field", title }, h("span", { text: label }), control);
}

/** A select: [[value, text], ...]. */
export function select(options, value, onpick, props = {}) {
  const items = options.map(([v, text]) => h("option", { value: v, text, selected: v === value }));
  const node = h("select", { ...props, onchange: () => onpick(node.value) }, ...items);
  node.value = value;
  return node;
}

/** A whole number within bounds; what is typed outside is clamped. */
export function whole(value, low, high, onpick, props = {}) {
  const node = h("input", {
    type: "number",
    min: low,
    max: high,
    step: 1,
    value,
    ...props,
    onchange: () => {
      const wanted = Math.round(Number(node.value));
      const kept = Math.min(high, Math.max(low, Number.isFinite(wanted) ? wanted : value));
      node.value = kept;
      onpick(kept);
    },
  });
  return node;
}

/** A box to tick, with its text behind it. */
export function tick(label, checked, onpick, title = "") {
  const box = h("input", { type: "checkbox", checked, onchange: () => onpick(box.checked) });
  return h("label", { class: "field tick", title }, box, h("span", { text: label }));
}

/** As `fill`, where the control that has the focus keeps it: the one of the same name gets it. */
export function refill(element, ...children) {
  const active = element.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  fill(element, ...children);
  if (active === null) return;
  const again = [...element.querySelectorAll("button, input, select, summary")].find(
    (c) => nameOf(c) === active,
  );
  again?.focus({ preventScroll: true });
}

const nameOf = (control) =>
  control.getAttribute("aria-label") ??
  control.closest("label")?.firstElementChild?.textContent ??
  control.textContent;
