// The API as the pages use it. A refusal is a Refusal whose message is the API's own sentence.
import { askForKey } from "./dom.js";

export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { headers: { Accept: "application/json" }, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The server cannot be reached. Is it running?");
  }
  let body = null;
  try {
    body = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  if (!answer.ok || body === null) throw new Refusal(answer.status, asSentence(body?.error?.message ?? "the server gave no answer that can be read"));
  return body;
}

function post(path, body, { headers = {}, ...options } = {}) {
  return ask(path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { Accept: "application/json", "Content-Type": "application/json", ...headers },
    ...options,
  });
}

const ARTICLES = "the|an?|le|la|les|une?|el|los|las|il|lo|gli|der|die|das|de|het|det|den|os?|as|l'";
const INVERTED = new RegExp(`(^|\\()([^()]+), (${ARTICLES})(?=$|\\)| \\()`, "giu");

/** "The Godfather" of "Godfather, The", as the server's pages have it. */
export const displayTitle = (title) => title.replace(INVERTED, (_, before, rest, article) => `${before}${article}${article.endsWith("'") ? "" : " "}${rest}`);

const displayed = (movie) => ({ ...movie, title: displayTitle(movie.title) });

/** Of a recommendation: why it is there, as a sentence. */
function reason({ why }) {
  if (!why) return "";
  const titles = (why.contributions ?? []).map((one) => one.title);
  return asSentence(titles.reduce((text, title) => text.replaceAll(title, displayTitle(title)), why.sentence));
}

const asSentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? "" : "."}`;

export async function search(q, signal) {
  const answer = await ask(`/api/search?${new URLSearchParams({ q, top_k: "8" })}`, { signal });
  return answer.movies.map(displayed);
}

/** The questions, and from how many ratings on a list is personal. */
export async function interview() {
  const answer = await ask("/api/interview?top_k=20");
  return { questions: answer.questions.map(displayed), enough: answer.fold_in_from ?? 0 };
}

/** A user, the history with what was rated live before it, each movie once. */
export async function user(id, signal) {
  const answer = await ask(`/api/users/${id}?top_k=60`, { signal });
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
    needed: popular && answer.fold_in_from ? Math.max(0, answer.fold_in_from - (answer.history_used ?? 0)) : 0,
    recommendations: answer.recommendations.map((movie) => ({ ...displayed(movie), reason: popular ? "" : reason(movie) })),
  };
}

const KEY = "movierec.key";

/** Record what a person did, and promise what takes it back; sent once more under the same idempotency key where no
 * answer came, so that it counts once. */
export async function feedback(event) {
  const once = key();
  await withKey((headers) => post("/api/feedback", event, { headers: { "Idempotency-Key": once, ...headers } }));
  const address = `/api/feedback?${new URLSearchParams({ user_id: event.user_id, key: once })}`;
  return () => withKey((headers) => ask(address, { method: "DELETE", headers: { Accept: "application/json", ...headers } }));
}

/** Send, and once more where no answer came. Where the server wants an API key it is asked for, and kept until the browser's
 * tab is closed. */
async function withKey(action) {
  const send = () => {
    const secret = sessionStorage.getItem(KEY);
    return action(secret ? { Authorization: `Bearer ${secret}` } : {});
  };
  try {
    return await send();
  } catch (error) {
    if (error.status === 401) {
      const given = await askForKey(sessionStorage.getItem(KEY) ? "That key is not one of this server's." : "This server records feedback for those who have a key alone.");
      if (!given) throw error;
      sessionStorage.setItem(KEY, given);
    } else if (error.status !== 0 && error.status !== 503) throw error;
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
