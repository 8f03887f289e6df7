// The start: what is popular, in all genres or in one.
import { newest, recommend } from "./client.js";
import { bones, empty, h, toast } from "./dom.js";
import { card } from "./movies.js";

const results = document.getElementById("results");
const buttons = [...document.querySelectorAll("#genres [data-genre]")];
const list = newest((signal, genre) => recommend({ history: [], top_k: 18, ...(genre && { genres: [genre] }) }, signal));

async function show(button) {
  for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
  const waiting = setTimeout(() => results.replaceChildren(h("ul", { class: "grid" }, bones("card", 12))), 200);
  results.setAttribute("aria-busy", "true");
  try {
    const answer = await list(button.dataset.genre);
    if (!answer) return;
    clearTimeout(waiting);
    const movies = answer.recommendations;
    results.replaceChildren(movies.length ? h("ul", { class: "grid" }, movies.map((movie) => card(movie))) : empty("Nothing in this genre", "Choose another one."));
  } catch (error) {
    clearTimeout(waiting);
    results.replaceChildren(empty("The list could not be loaded", error.message));
    toast(error.message, { error: true, action: { label: "Try again", run: () => show(button) } });
  } finally {
    clearTimeout(waiting);
    results.removeAttribute("aria-busy");
  }
}

for (const button of buttons) button.addEventListener("click", () => show(button));
