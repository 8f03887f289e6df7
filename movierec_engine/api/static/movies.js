// Movies as cards, rows and suggestions: every title is set as text.
import { cross, h, ROOT } from "./dom.js";
import "./poster.js";
import { RATE, RATING } from "./scale.js";
import "./stars.js";

/** An id of one or two dots, which a path takes for a folder, stands in the query. */
export const address = ({ movie_id }) => ROOT + ([".", ".."].includes(movie_id) ? `/movies?movie_id=${movie_id}` : `/movies/${encodeURIComponent(movie_id)}`);

export const named = (movie) => (movie.year ? `${movie.title} (${movie.year})` : movie.title);

export function poster(movie) {
  return h("movie-poster", { "data-title": movie.title, "data-year": movie.year, "data-genres": (movie.genres ?? []).join("|"), "data-picture": movie.picture });
}

export function about(movie, most = 2) {
  return [movie.year, ...(movie.genres ?? []).slice(0, most)].filter(Boolean).join(" · ");
}

/** onRate(value) and onDismiss() are offered where given. */
function deeds(movie, { rating = null, onRate = null, onDismiss = null, dismissLabel = "Not interested in" }) {
  if (!onRate && !onDismiss) return null;
  return h(
    "div",
    { class: "deeds" },
    onRate && h("star-rating", { value: rating, label: `${RATE} ${movie.title}`, onrate: (event) => onRate(event.detail) }),
    onDismiss && h("button", { type: "button", class: "dismiss", "aria-label": `${dismissLabel} ${movie.title}`, title: dismissLabel.replace(/ in$/, ""), onclick: onDismiss }, cross()),
  );
}

export function card(movie, options = {}) {
  return h(
    "li",
    { class: options.fresh ? "card new" : "card", "data-movie": movie.movie_id },
    poster(movie),
    h("a", { class: "title", href: address(movie), title: named(movie), dir: "auto" }, movie.title),
    h("small", {}, about(movie, options.genres ?? 2)),
    options.reason && h("p", { class: "reason", dir: "auto" }, options.reason),
    deeds(movie, options),
  );
}

export function row(movie, options = {}) {
  return h(
    "li",
    { class: "row", "data-movie": movie.movie_id },
    poster(movie),
    h(
      "div",
      {},
      h("div", {}, options.rank && h("span", { class: "rank" }, `${options.rank}. `), h("a", { class: "title", href: address(movie), dir: "auto" }, movie.title)),
      h("small", {}, about(movie, 3)),
      options.note,
      options.reason && h("p", { class: "reason", dir: "auto" }, options.reason),
      deeds(movie, options),
    ),
  );
}

/** Where a list comes from, in words. needed: further ratings until a new user's list is personal. */
export function badge(source, { needed = 0, ratings = 0 } = {}) {
  const words = {
    "personal": "Made for this user",
    "fold-in": ratings ? `Made from your ${ratings === 1 ? RATING : `${ratings} ${RATING}s`}` : `Made from live ${RATING}s`,
    "popularity": needed ? `Popular with everyone: ${RATE.toLowerCase()} ${needed} more and the list becomes yours` : "Popular with everyone",
  };
  return h("span", { class: `badge ${Object.hasOwn(words, source) ? source : ""}` }, words[source] ?? source);
}
