// A movie's page: the rating that this browser keeps.
import { newest, similar } from "./client.js";
import { ROOT, toast } from "./dom.js";
import { moreBelow } from "./grids.js";
import { card } from "./movies.js";
import { said } from "./scale.js";
import * as taste from "./taste.js";

const place = document.getElementById("movie");
const stars = place.querySelector("star-rating");
const rated = document.getElementById("rated");
const movie = {
  movie_id: place.dataset.movie,
  title: place.dataset.title,
  year: Number(place.dataset.year) || null,
  genres: place.dataset.genres.split("|").filter(Boolean),
  picture: place.dataset.picture,
};

function show() {
  const rating = taste.ratingOf(movie.movie_id);
  stars.value = rating;
  rated.textContent = rating === null ? "" : said(rating);
}

stars.addEventListener("rate", (event) => {
  taste.rate(movie, event.detail);
  toast(event.detail === null ? "Taken back." : "Kept. Your list has changed.", { action: { label: "See your list", run: () => location.assign(`${ROOT}/discover`) } });
});
const alike = document.querySelector("#alike .grid");
const hint = document.getElementById("similar-hint");
const ask = newest((signal, request) => similar(request, signal));
const asked = () => {
  const { history, exclude } = taste.asRequest();
  return { item_id: movie.movie_id, top_k: 12, history: history.slice(-100), exclude: (exclude ?? []).slice(-100), ...(place.dataset.model && { model: place.dataset.model }) };
};

/** The similar movies to this browser's taste, where it keeps one, and more of them. */
async function showSimilar() {
  if (!alike) return;
  let next = alike.dataset.next ?? null;
  if (taste.ratings().length) {
    try {
      const answer = await ask(asked());
      if (!answer) return;
      alike.replaceChildren(...answer.similar.map((one) => card(one)));
      hint.textContent = "Also to your taste, without what you have rated.";
      next = answer.next;
    } catch (error) {
      toast(error.message, { error: true });
    }
  }
  document.querySelector("#alike .more-below")?.remove();
  if (next) alike.after(moreBelow(alike, next, async (at) => {
    const answer = await similar({ ...asked(), next: at });
    return { movies: answer.similar, next: answer.next };
  }));
}

taste.onChange(show);
show();
showSimilar();
