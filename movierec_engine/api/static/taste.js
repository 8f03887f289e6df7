// What a new user has said, kept in this browser alone: ratings, movies not seen, movies not wanted.

import { isRating } from "./scale.js";

const NAME = "movierec.taste";
const MOST = 1000;

const isId = (value) => typeof value === "string" && value.length > 0 && value.length <= 256;
/** An id, which was kept as a number once. */
const asId = (value) => (Number.isSafeInteger(value) && value >= 0 ? String(value) : value);
const readId = (name, value) => (name === "movie_id" ? asId(value) : value);
const isRated = (one) => isId(one?.movie?.movie_id) && typeof one.movie.title === "string" && isRating(one.rating);

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(NAME), readId) ?? {};
    return {
      ratings: Array.isArray(kept.ratings) ? kept.ratings.filter(isRated).slice(-MOST) : [],
      unseen: Array.isArray(kept.unseen) ? kept.unseen.map(asId).filter(isId) : [],
      unwanted: Array.isArray(kept.unwanted) ? kept.unwanted.map(asId).filter(isId).slice(-MOST) : [],
    };
  } catch {
    return { ratings: [], unseen: [], unwanted: [] };
  }
}

let taste = load();
const listeners = new Set();
addEventListener("storage", (event) => {
  if (event.key === NAME) tell((taste = load()));
});

function keep() {
  try {
    localStorage.setItem(NAME, JSON.stringify(taste));
  } catch {
    // a browser that keeps nothing: the ratings live as long as the page
  }
  tell();
}

function tell() {
  for (const listener of listeners) listener();
}

export const onChange = (listener) => listeners.add(listener);
export const ratings = () => taste.ratings;
export const unseen = () => taste.unseen;
export const unwanted = () => taste.unwanted;
/** The rating of a movie, or null. */
export const ratingOf = (id) => taste.ratings.find((one) => one.movie.movie_id === id)?.rating ?? null;

/** Rate a movie, newest last; null takes the rating back. */
export function rate({ movie_id, title, year, genres, picture }, rating) {
  taste.ratings = taste.ratings.filter((one) => one.movie.movie_id !== movie_id);
  if (rating !== null) taste.ratings = [...taste.ratings, { movie: { movie_id, title, year, genres, picture }, rating }].slice(-MOST);
  keep();
}

export function notSeen(id) {
  taste.unseen = [...new Set([...taste.unseen, id])];
  keep();
}

export function seen(id) {
  taste.unseen = taste.unseen.filter((one) => one !== id);
  keep();
}

export function notWanted(id, truth = true) {
  taste.unwanted = truth ? [...new Set([...taste.unwanted, id])] : taste.unwanted.filter((one) => one !== id);
  keep();
}

export function forget() {
  const before = taste;
  taste = { ratings: [], unseen: [], unwanted: [] };
  keep();
  return () => { taste = before; keep(); };
}

/** The taste as a request's history and exclusions. */
export function asRequest() {
  const history = taste.ratings.map(({ movie, rating }) => ({ movie_id: movie.movie_id, rating }));
  return { history, ...(taste.unwanted.length && { exclude: taste.unwanted }) };
}
