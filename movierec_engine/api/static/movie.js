// A movie's page: the rating that this browser keeps.
import { ROOT, toast } from "./dom.js";
import "./movies.js";
import * as taste from "./taste.js";

const place = document.getElementById("movie");
const stars = place.querySelector("star-rating");
const rated = document.getElementById("rated");
const movie = {
  movie_id: place.dataset.movie,
  title: place.dataset.title,
  year: Number(place.dataset.year) || null,
  genres: place.dataset.genres.split("|").filter(Boolean),
};

function show() {
  const rating = taste.ratingOf(movie.movie_id);
  stars.setAttribute("value", rating);
  rated.textContent = rating ? `${rating} of 5` : "";
}

stars.addEventListener("rate", (event) => {
  taste.rate(movie, event.detail);
  toast(event.detail ? "Kept. Your list has changed." : "Rating taken back.", { action: { label: "See your list", run: () => location.assign(`${ROOT}/discover`) } });
});
taste.onChange(show);
show();
