// Light or dark: as the system says, or as chosen here, kept by this browser.

const KEY = "convivo-lab-theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** "light" or "dark". */
export const theme = () =>
  document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");

/** A CSS variable of the theme, such as --input. */
export const token = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

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
