// A list as a grid of cards, continued by a button at its end.
import { h, toast } from "./dom.js";
import { card } from "./movies.js";

/** The elements of a list. more(next): the promise of its next page; options(movie): of each card. */
export function grid({ recommendations, next }, more, options = () => ({})) {
  const cards = h("ul", { class: "grid" }, recommendations.map((movie) => card(movie, options(movie))));
  return next ? [cards, moreBelow(cards, next, async (at) => {
    const answer = await more(at);
    return answer && { movies: answer.recommendations, next: answer.next };
  }, options)] : [cards];
}

/** A button that continues a grid. more(next): the promise of { movies, next }, or of null where it was overtaken. */
export function moreBelow(cards, next, more, options = () => ({})) {
  const button = h("button", { type: "button", class: "button plain" }, "More");
  const box = h("div", { class: "more-below" }, button);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const answer = await more(next);
      if (answer) {
        const added = answer.movies.map((movie) => card(movie, options(movie)));
        cards.append(...added);
        added[0]?.querySelector("a").focus({ preventScroll: true });
        next = answer.next;
        if (!next) box.remove();
      }
    } catch (error) {
      toast(error.status === 410 ? "This list has moved on. Load the page again." : error.message, { error: true });
    }
    button.disabled = false;
  });
  return box;
}
