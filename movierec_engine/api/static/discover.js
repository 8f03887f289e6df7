// The new user's page: an interview, and a list that follows each answer.
import { interview, newest, recommend } from "./client.js";
import { bones, empty, h, NOUN, settle, share, toast } from "./dom.js";
import { grid } from "./grids.js";
import { controls } from "./lists.js";
import { badge, row } from "./movies.js";
import { LIKES_ONLY, RATE, said } from "./scale.js";
import { combobox } from "./searching.js";
import * as taste from "./taste.js";

const SHOWN = 4;
const LENGTH = 18;
const [asked, rated, results, source, progress, forget] = ["interview", "ratings", "results", "source", "progress", "forget"].map((id) => document.getElementById(id));

let questions = null;
let before = new Set();
let foldInMinItems = 0;
let shown = null;

const rate = (movie) => (value) => {
  taste.rate(movie, value);
  if (value !== null) toast(`${movie.title}: ${said(value)}`, { action: { label: "Take back", run: () => taste.rate(movie, null) } });
};

function showInterview() {
  if (!questions) return;
  const open = questions.filter(({ movie_id }) => taste.ratingOf(movie_id) === null && !taste.unseen().includes(movie_id));
  const rows = open.slice(0, SHOWN).map((movie) => {
    const one = row(movie, { onRate: rate(movie) });
    one.querySelector(".deeds").append(h("button", { type: "button", class: "text-button", "aria-label": `Don't know: ${movie.title}`, onclick: () => taste.notSeen(movie.movie_id) }, "Don't know it"));
    return one;
  });
  asked.replaceChildren(rows.length ? h("ol", { class: "rows" }, rows) : h("p", { class: "quiet" }, questions.length ? "That was all. Anything else you know helps too:" : `Start with any ${NOUN} that you know:`));
}

function showRatings() {
  document.getElementById("count").textContent = taste.ratings().length ? `(${taste.ratings().length})` : "";
  const all = [...taste.ratings()].reverse();
  forget.hidden = !all.length && !taste.unwanted().length && !taste.unseen().length;
  rated.replaceChildren(
    all.length
      ? h("ul", { class: "rows" }, all.map(({ movie, rating }) => row(movie, { rating, onRate: (value) => taste.rate(movie, value), onDismiss: () => taste.rate(movie, null), dismissLabel: LIKES_ONLY ? "Remove" : "Remove the rating of" })))
      : h("p", { class: "quiet" }, `None yet. ${RATE} a ${NOUN} above, or one in the list.`),
  );
}

function showProgress({ source: from, needed, history_used: used = 0 }) {
  const missing = from === "popularity" ? needed || Math.max(0, foldInMinItems - used) : 0;
  progress.hidden = !missing;
  progress.setAttribute("aria-valuemax", used + missing);
  progress.setAttribute("aria-valuenow", used);
  share(progress.firstElementChild, missing ? used / (used + missing) : 0);
  source.replaceChildren(badge(from, { needed: missing, ratings: used }));
}

const list = newest((signal, request) => recommend(request, signal));

async function refresh() {
  const request = { top_k: LENGTH, explain: true, paged: true, ...taste.asRequest(), ...settings() };
  results.setAttribute("aria-busy", "true");
  if (!results.firstElementChild) results.replaceChildren(h("ul", { class: "grid" }, bones("card", 12)));
  try {
    const answer = await list(request);
    if (!answer) return;
    showProgress((shown = answer));
    showList(answer, (next) => list({ ...request, ...taste.asRequest(), next }));
  } catch (error) {
    results.replaceChildren(empty("The list could not be made", error.message, h("button", { type: "button", class: "button", onclick: refresh }, "Try again")));
    toast(error.message, { error: true });
  }
  results.removeAttribute("aria-busy");
}

function showList(answer, more) {
  const movies = answer.recommendations;
  if (!movies.length) {
    results.replaceChildren(empty(`No ${NOUN} fits`, "Widen the filters, or reset the dials."));
    return;
  }
  const known = before;
  before = new Set(movies.map((movie) => movie.movie_id));
  results.replaceChildren(...grid(answer, more, (movie) => ({
    reason: movie.reason,
    fresh: known.size > 0 && before.has(movie.movie_id) && !known.has(movie.movie_id),
    onRate: rate(movie),
    onDismiss: () => {
      taste.notWanted(movie.movie_id);
      toast(`${movie.title} will not be suggested`, { action: { label: "Undo", run: () => taste.notWanted(movie.movie_id, false) } });
    },
  })));
}

/** A list is drawn anew while somebody works in it with the keyboard: stay near where they were. */
function holdFocus(draw) {
  const held = document.activeElement?.closest("#interview, #ratings, #results");
  const place = held ? [...held.querySelectorAll("star-rating, button")].indexOf(document.activeElement) : -1;
  draw();
  if (place < 0 || held.contains(document.activeElement)) return;
  const again = [...held.querySelectorAll("star-rating, button")];
  (again[Math.min(place, again.length - 1)] ?? document.getElementById("rate")).focus({ preventScroll: true });
}

const refreshSoon = settle(refresh);
const settings = controls(document.getElementById("dials"), refreshSoon);
combobox(document.querySelector(".search.inline"), askAbout);

/** A movie that was searched for is asked about first. */
function askAbout(movie) {
  if (taste.ratingOf(movie.movie_id) !== null) {
    document.getElementById("rated").open = true;
    document.querySelector(`#ratings [data-movie="${CSS.escape(movie.movie_id)}"] star-rating`)?.focus();
    return;
  }
  questions = [movie, ...(questions ?? []).filter((one) => one.movie_id !== movie.movie_id)];
  taste.seen(movie.movie_id);
  asked.querySelector("star-rating")?.focus();
}

forget.addEventListener("click", () => {
  const undo = taste.forget();
  toast("Everything that you rated is forgotten", { action: { label: "Undo", run: undo } });
});

taste.onChange(() => {
  holdFocus(() => { showInterview(); showRatings(); });
  refreshSoon();
});

document.getElementById("rated").open = matchMedia("(min-width: 62rem)").matches;
showRatings();
asked.replaceChildren(h("ol", { class: "rows" }, bones("row", SHOWN)));
refresh();
try {
  const answer = await interview();
  questions = [...(questions ?? []), ...answer.questions];
  foldInMinItems = answer.foldInMinItems;
  if (shown) showProgress(shown);
} catch (error) {
  questions ??= [];
  if (error.status !== 404) toast(error.message, { error: true });
}
showInterview();
