// Rows of movies side by side, each continued where it stands.
import { moreOfRow } from "./client.js";
import { h, toast } from "./dom.js";
import { card } from "./movies.js";

const LENGTH = 12;

const shownIn = (root) => [...root.querySelectorAll(".shelf .card")].map((one) => one.dataset.movie);

/** A row as a section. options(movie): of each card. */
export function shelf({ row, title, reason, movies, next }, options = () => ({})) {
  const id = `row-${row}`;
  return h(
    "section",
    { class: "shelf", "aria-labelledby": id, "data-row": row, "data-next": next },
    h("header", {}, h("h2", { id, dir: "auto" }, title), h("p", { dir: "auto" }, reason)),
    h("ul", { class: "rail", tabindex: "0", "aria-labelledby": id }, movies.map((movie) => card(movie, options(movie)))),
  );
}

/** Let every row below a root continue. whose(): the request's person; options(movie): of each card. */
export function continueShelves(root, whose, options = () => ({})) {
  for (const section of root.querySelectorAll(".shelf[data-next]")) {
    const rail = section.querySelector(".rail");
    const button = h("button", { type: "button", class: "button plain small", "aria-label": `More of ${section.querySelector("h2").textContent}` }, "More");
    const end = h("li", { class: "more" }, button);
    rail.append(end);
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        const { exclude = [], ...person } = whose();
        const asked = { row: section.dataset.row, top_k: LENGTH, ...person, exclude: [...new Set([...exclude, ...shownIn(root)])].slice(-1000), next: section.dataset.next };
        const answer = await moreOfRow(asked);
        const cards = answer.movies.map((movie) => card(movie, options(movie)));
        end.before(...cards);
        if (answer.next) section.dataset.next = answer.next;
        else end.remove();
        cards[0]?.querySelector("a").focus({ preventScroll: true });
        cards[0]?.scrollIntoView({ block: "nearest", inline: "start", behavior: "smooth" });
      } catch (error) {
        toast(error.status === 410 ? "This row has moved on. Load the page again." : error.message, { error: true });
      }
      button.disabled = false;
    });
  }
}
