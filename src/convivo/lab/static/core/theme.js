// Light or dark: as the system says, or as chosen here, kept by this browser.

const KEY = "convivo-lab-theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** "light" or "dark". */
export const theme = () =>
  document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");

const tokens = new Map();

/** A CSS variable of the theme, such as --input; looked up once, for that makes a page be styled. */
export function token(name) {
  const key = theme() + name;
  if (!tokens.has(key)) {
    const style = getComputedStyle(document.documentElement);
    tokens.set(key, style.getPropertyValue(name).trim());
  }
  return tokens.get(key);
}

export const still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Begin with what was chosen; `onchange` after every change. Returns what turns it over. */
export function themes(onchange) {
  const chosen = localStorage.getItem(KEY);
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  dark.addEventListener("change", onchange);
  return () => {
    const next = theme() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    localStorage.setItem(KEY, next);
    onchange();
  };
}
