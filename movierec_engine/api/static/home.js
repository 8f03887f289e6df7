// The start: rows to the taste that this browser keeps, and any genre.
import { home, newest, recommend } from "./client.js";
import { bones, empty, h, toast } from "./dom.js";
import { grid } from "./grids.js";
import { continueShelves, shelf } from "./shelves.js";
import * as taste from "./taste.js";

const shelves = document.getElementById("rows");
const results = document.getElementById("results");
const buttons = [...document.querySelectorAll("#genres [data-genre]")];
const rows = newest((signal, request) => home(request, signal));
const list = newest((signal, request) => recommend(request, signal));

/** Rows to the taste of this browser; those of the server are for somebody of whom nothing is known. */
async function showRows() {
  if (!taste.ratings().length && !taste.unwanted().length) return continueShelves(shelves, () => ({}));
  shelves.setAttribute("aria-busy", "true");
  try {
    const answer = await rows({ ...taste.asRequest(), top_k: 12 });
    if (answer) shelves.replaceChildren(...answer.rows.map((row) => shelf(row)));
  } catch (error) {
    toast(error.message, { error: true });
  }
  shelves.removeAttribute("aria-busy");
  continueShelves(shelves, () => taste.asRequest());
}

async function showGenre(button) {
  for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
  const waiting = setTimeout(() => results.replaceChildren(h("ul", { class: "grid" }, bones("card", 12))), 200);
  const request = { ...taste.asRequest(), genres: [button.dataset.genre], top_k: 18, paged: true };
  results.setAttribute("aria-busy", "true");
  try {
    const answer = await list(request);
    if (!answer) return;
    clearTimeout(waiting);
    const more = (next) => list({ ...request, next });
    results.replaceChildren(...(answer.recommendations.length ? grid(answer, more) : [empty("Nothing in this genre", "Choose another one.")]));
  } catch (error) {
    clearTimeout(waiting);
    results.replaceChildren(empty("The list could not be loaded", error.message));
    toast(error.message, { error: true, action: { label: "Try again", run: () => showGenre(button) } });
  } finally {
    clearTimeout(waiting);
    results.removeAttribute("aria-busy");
  }
}

for (const button of buttons) button.addEventListener("click", () => showGenre(button));
showRows();
