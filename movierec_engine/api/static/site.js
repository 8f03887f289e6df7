// On every page: search and the theme.
import { combobox, visit } from "./searching.js";

const header = document.querySelector(".masthead .search");
combobox(header, visit);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.target.closest("input, select, textarea")) {
    event.preventDefault();
    header.querySelector("input").focus();
  }
});

const root = document.documentElement;
const toggle = document.getElementById("theme");
const isDark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const show = () => toggle.setAttribute("aria-pressed", String(isDark()));
toggle.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  try {
    localStorage.setItem("movierec.theme", root.dataset.theme);
  } catch {
    // nothing is kept in this browser
  }
  show();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
show();
