// The API as the pages use it. A refusal is a Refusal whose message is the API's own sentence.
import { askForKey, ROOT } from "./dom.js";

export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const KEY = "movierec.key";
let asking = null;

/** Where the server wants an API key it is asked for once, and kept until the browser's tab is closed. */
async function ask(path, options = {}) {
  const sent = sessionStorage.getItem(KEY);
  try {
    return await answered(path, options, sent);
  } catch (error) {
    if (error.status !== 401 && error.status !== 403) throw error;
    if (sessionStorage.getItem(KEY) === sent) {
      asking ??= askForKey(error.message).finally(() => (asking = null));
      const given = await asking;
      if (!given) throw error;
      sessionStorage.setItem(KEY, given);
    }
    return answered(path, options, sessionStorage.getItem(KEY));
  }
}

async function answered(path, { headers, ...options }, secret) {
  let answer;
  try {
    answer = await fetch(ROOT + path, { headers: { Accept: "application/json", ...headers, ...(secret && { Authorization: `Bearer ${secret}` }) }, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The server cannot be reached. Is it running?");
  }
  let body = null;
  try {
    body = read(await answer.text());
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  if (!answer.ok || body === null) throw new Refusal(answer.status, asSentence(inWords(body?.error?.message ?? "the server gave no answer that can be read")));
  return body;
}

const LARGE_ID = /"((?:user|movie)_id)":(\d{16,})(?=[,}\]])/g;

/** JSON whose ids are texts: a number of more than 53 bits would become another one, and the API takes 17 as "17". */
function read(text) {
  return JSON.parse(text.replace(LARGE_ID, '"$1":"$2"'), (name, value) => (name === "movie_id" || name === "user_id" ? String(value) : value));
}

function post(path, body, { headers = {}, ...options } = {}) {
  return ask(path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", ...headers },
    ...options,
  });
}

const ARTICLES = "the|an?|le|la|les|une?|el|los|las|il|lo|gli|der|die|das|de|het|det|den|os?|as|l'";
const INVERTED = new RegExp(`(^|\\()([^()]+), (${ARTICLES})(?=$|\\)| \\()`, "giu");

/** "The Godfather" of "Godfather, The", as the server's pages have it. */
export const displayTitle = (title) => title.replace(INVERTED, (_, before, rest, article) => `${before}${article}${article.endsWith("'") ? "" : " "}${rest}`);

const displayed = (movie) => ({ ...movie, title: displayTitle(movie.title) });

/** Of a recommendation: why it is there, as a sentence. */
const reason = ({ why }) => (why ? asSentence(why.sentence) : "");

const WORDS = { user_id: "user", movie_id: "id", year_from: "From year", year_to: "To year" };

/** What the API says of a parameter, as people read it. */
const inWords = (text) => text.replace(/\b(user_id|movie_id|year_from|year_to)\b/g, (name) => WORDS[name]);

const asSentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? "" : "."}`;

export async function search(q, signal) {
  const answer = await ask(`/api/search?${new URLSearchParams({ q, top_k: "8" })}`, { signal });
  return answer.movies.map(displayed);
}

/** The questions, and from how many ratings on a list is personal. */
export async function interview() {
  const answer = await ask("/api/interview?top_k=20");
  return { questions: answer.questions.map(displayed), foldInMinItems: answer.fold_in_min_items ?? 0 };
}

/** A user, the history with what was rated live before it, each movie once. */
export async function user(id, signal) {
  const answer = await ask(`/api/users/${encodeURIComponent(id)}?top_k=60`, { signal });
  const live = answer.feedback.ratings.map((movie) => ({ ...movie, live: true }));
  const newer = new Set(live.map((movie) => movie.movie_id));
  const history = [...live, ...answer.history.filter((movie) => !newer.has(movie.movie_id))];
  return { ...answer, history: history.map(displayed) };
}

/** A list: its movies with `reason`, and `needed`, the further ratings from which on it is personal. */
export async function recommend(request, signal) {
  const answer = await post("/api/recommend", request, { signal });
  const popular = answer.source === "popularity";
  return {
    ...answer,
    needed: popular && answer.fold_in_min_items ? Math.max(0, answer.fold_in_min_items - (answer.history_used ?? 0)) : 0,
    recommendations: answer.recommendations.map((movie) => ({ ...displayed(movie), reason: popular ? "" : reason(movie) })),
  };
}

/** A home page: its rows, with their movies and `next`. */
export async function home(request, signal) {
  const answer = await post("/api/home", request, { signal });
  return { ...answer, rows: answer.rows.map(displayedRow) };
}

/** What follows of a row. */
export async function moreOfRow({ row, ...request }, signal) {
  return displayedRow(await post(`/api/home/${encodeURIComponent(row)}`, request, { signal }));
}

const displayedRow = (row) => ({ ...row, movies: row.movies.map(displayed) });

/** Movies like one, to a person's taste where the request has a history, and what continues them. */
export async function similar({ item_id, history = [], exclude = [], ...request }, signal) {
  const of = (id) => String(id).replace(/[\\,:]/g, "\\$&");
  const asked = new URLSearchParams({ paged: "true", ...request });
  if (history.length) asked.set("history", history.map((one) => `${of(one.movie_id)}:${one.rating}`).join(","));
  if (exclude.length) asked.set("exclude", exclude.map(of).join(","));
  const answer = await ask(`/api/similar/${encodeURIComponent(item_id)}?${asked}`, { signal });
  return { ...answer, similar: answer.similar.map(displayed) };
}

/** Record what a person did, and promise what takes it back; sent once more under the same idempotency key where no
 * answer came, so that it counts once. */
export async function feedback(event) {
  const once = key();
  await again(() => post("/api/feedback", event, { headers: { "Idempotency-Key": once } }));
  const address = `/api/feedback?${new URLSearchParams({ user_id: event.user_id, key: once })}`;
  return () => again(() => ask(address, { method: "DELETE" }));
}

/** Send, and once more where no answer came. */
async function again(send) {
  try {
    return await send();
  } catch (error) {
    if (error.status !== 0 && error.status !== 503) throw error;
    return send();
  }
}

function key() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The newest answer alone: a request that is overtaken by another is dropped. */
export function newest(action) {
  let running = null;
  return async (...values) => {
    running?.abort();
    const mine = (running = new AbortController());
    try {
      return await action(mine.signal, ...values);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
      return null;
    }
  };
}
