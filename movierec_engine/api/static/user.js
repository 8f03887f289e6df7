// A user's page: history, taste, and what several models recommend, side by side.
import { feedback, home, newest, recommend, user } from "./client.js";
import { bones, empty, h, NOUN, NOUNS, plural, settle, share, toast } from "./dom.js";
import { controls } from "./lists.js";
import { badge, card, row } from "./movies.js";
import { HIGHEST, LIKES_ONLY, RATE, said } from "./scale.js";
import { continueShelves, shelf } from "./shelves.js";

const MOST = 3;
const LENGTH = matchMedia("(min-width: 56rem)").matches ? 10 : 6;
const KEPT = "movierec.models";
const person = document.getElementById("person");
const id = person.dataset.user;
const [summary, tasteBox, historyBox, columns, overlap] = ["summary", "taste", "history", "columns", "overlap"].map((name) => document.getElementById(name));
const boxes = [...document.querySelectorAll("#models input")];
let lists = new Map();

function chosen() {
  return boxes.filter((box) => box.checked).map((box) => box.value);
}

function choose() {
  let kept = [];
  try {
    kept = JSON.parse(localStorage.getItem(KEPT)) ?? [];
  } catch {
    // nothing readable is kept
  }
  const first = [person.dataset.default, ...boxes.map((box) => box.value).filter((name) => name !== "popularity" && name !== person.dataset.default)];
  const known = Array.isArray(kept) ? kept.filter((name) => boxes.some((box) => box.value === name)) : [];
  const names = (known.length ? known : first).slice(0, MOST);
  for (const box of boxes) box.checked = names.includes(box.value);
  bound();
}

function bound() {
  const full = chosen().length >= MOST;
  for (const box of boxes) box.disabled = !box.checked && full;
}

const versions = ({ version, measured_version: measured }) =>
  measured === version ? `version ${version}` : `version ${version}, trained on all ratings; measured as ${measured}`;

const about = newest((signal) => user(id, signal));

async function showPerson() {
  try {
    const answer = await about();
    if (!answer) return;
    showHistory(answer);
    showTaste(answer);
  } catch (error) {
    summary.textContent = error.status === 404 ? "Nothing is known yet." : "";
    tasteBox.replaceChildren(h("p", { class: "quiet" }, "Unknown as yet."));
    historyBox.replaceChildren(error.status === 404 ? empty("Nobody by this id yet", `The lists below are popular ${NOUNS}. ${RATE} one and this user has a history.`) : empty("The history could not be loaded", error.message));
  }
}

function showHistory({ history, rated, mean_rating: mean }) {
  summary.textContent = history.length
    ? [plural(rated || history.length, NOUN, NOUNS), mean !== null && !LIKES_ONLY && `${said(Math.round(mean * 10) / 10)} on average`].filter(Boolean).join(", ")
    : "No history yet: the lists are what is popular.";
  historyBox.replaceChildren(
    history.length
      ? h("ul", { class: "rail", tabindex: "0", "aria-label": history.every((movie) => movie.timestamp !== null) ? "History, newest first" : "History" }, history.map((movie) => {
          const one = card(movie, { genres: 1 });
          const rating = LIKES_ONLY ? HIGHEST : movie.rating;
          if (rating !== null) one.append(h("star-rating", { value: rating, "read-only": true }));
          return one;
        }))
      : empty("Nothing yet", `${RATE} a ${NOUN} in a list below and it appears here.`),
  );
}

function showTaste({ taste, history }) {
  tasteBox.parentElement.hidden = false;
  if (!history.length) {
    tasteBox.replaceChildren(h("p", { class: "quiet" }, "Unknown as yet."));
    return;
  }
  const most = (parts) => Math.max(...parts.map((part) => part.share), 0.01);
  const bars = (title, parts) => parts.length === 0 ? [] : [
    h("h3", {}, title),
    h("ul", { class: "meters" }, parts.map(({ name, share: part, everybody }) =>
      h("li", { class: "meter", title: `${percent(part)} here, ${percent(everybody)} of everybody's` }, h("span", {}, name), share(h("i", { "aria-hidden": "true" }), part / most(parts)), h("b", {}, percent(part)))))];
  tasteBox.replaceChildren(...bars("Genres", taste.genres.slice(0, 6)), ...bars("Decades", taste.decades.filter((one) => one.share > 0).slice(0, 4)));
  tasteBox.parentElement.hidden = !tasteBox.firstElementChild; // of a catalogue without genres and years
}

const percent = (part) => `${Math.round(part * 100)} %`;

const shelves = document.getElementById("rows");
const page = newest((signal) => home({ user_id: id, top_k: 12, rows: 6 }, signal));

/** The home page that this user would see. */
async function showRows() {
  try {
    const answer = await page();
    if (!answer) return;
    shelves.replaceChildren(...answer.rows.map((one) => shelf(one, deeds)));
    continueShelves(shelves, () => ({ user_id: id }), deeds);
  } catch {
    shelves.replaceChildren(); // the lists below say what is wrong
  }
}

const deeds = (movie) => ({ onDismiss: () => tell({ movie_id: movie.movie_id, kind: "not_interested" }, `${movie.title} will not be recommended to this user`) });

const fetchLists = newest((signal, names, request) => Promise.all(names.map(async (model) => {
  try {
    return [model, await recommend({ ...request, model }, signal)];
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return [model, error];
  }
})));

async function refresh() {
  const names = chosen();
  columns.style.setProperty("--columns", Math.max(1, names.length));
  if (!names.length) {
    columns.replaceChildren(empty("No model chosen", "Choose up to three above to see their lists side by side."));
    overlap.textContent = "";
    return;
  }
  if (names.some((name) => !lists.has(name))) columns.replaceChildren(...names.map((name) => column(name, lists.get(name))));
  columns.setAttribute("aria-busy", "true");
  const found = await fetchLists(names, { user_id: id, top_k: LENGTH, explain: true, ...settings() });
  if (!found) return;
  lists = new Map(found);
  draw();
  columns.removeAttribute("aria-busy");
}

function draw() {
  const held = document.activeElement?.closest(".column .row");
  const place = held ? [held.closest(".column").dataset.model, [...held.parentElement.children].indexOf(held), document.activeElement.tagName] : null;
  const where = new Map();
  for (const [model, answer] of lists) {
    for (const { movie_id } of answer.recommendations ?? []) where.set(movie_id, [...(where.get(movie_id) ?? []), model]);
  }
  columns.replaceChildren(...[...lists].map(([model, answer]) => column(model, answer, where)));
  const common = [...where.values()].filter((models) => models.length > 1).length;
  overlap.textContent = lists.size > 1 ? `${plural(common, NOUN, NOUNS)} of ${where.size} ${common === 1 ? "is" : "are"} in more than one list.` : "";
  if (place) columns.querySelectorAll(`.column[data-model="${CSS.escape(place[0])}"] .row`)[place[1]]?.querySelector(place[2])?.focus({ preventScroll: true });
}

function column(model, answer, where = new Map()) {
  const head = (...more) => h("header", {}, h("h3", {}, model), ...more);
  const box = (...content) => h("section", { class: "column", "data-model": model, "aria-label": `Recommended by ${model}` }, ...content);
  if (!answer) return box(head(), h("ol", { class: "rows" }, bones("row", 6)));
  if (answer instanceof Error) return box(head(), h("p", { class: "quiet" }, answer.message), h("button", { type: "button", class: "text-button", onclick: refresh }, "Try again"));
  const movies = answer.recommendations;
  const rows = movies.map((movie, place) => {
    const others = (where.get(movie.movie_id) ?? []).filter((name) => name !== model);
    const everywhere = lists.size > 2 && others.length === lists.size - 1;
    const one = row(movie, {
      rank: place + 1,
      reason: movie.reason,
      note: others.length ? h("div", {}, h("span", { class: "shared" }, everywhere ? `in all ${lists.size} lists` : `also ${others.join(" and ")}`)) : null,
      onRate: (value) => value !== null && tell({ movie_id: movie.movie_id, kind: "rating", rating: value, ...shownIn(answer) }, `${movie.title}: ${said(value)}`),
      onDismiss: () => tell({ movie_id: movie.movie_id, kind: "not_interested", ...shownIn(answer) }, `${movie.title} will not be recommended to this user`),
    });
    const mark = (on) => () => { for (const other of columns.querySelectorAll(`.row[data-movie="${CSS.escape(movie.movie_id)}"]`)) other.classList.toggle("same", on && others.length > 0); };
    for (const [event, on] of [["pointerenter", true], ["focusin", true], ["pointerleave", false], ["focusout", false]]) one.addEventListener(event, mark(on));
    return one;
  });
  return box(head(badge(answer.source, { needed: answer.needed }), h("small", {}, versions(answer))), rows.length ? h("ol", { class: "rows" }, rows) : empty(`No ${NOUN} fits`, "Widen the filters, or reset the dials."));
}

/** The list that feedback answers; outside of an experiment lists have no id of their own. */
const shownIn = ({ exposure_id, request_id }) => (exposure_id ? { exposure_id } : { request_id });

async function tell(event, message) {
  try {
    const undo = await feedback({ user_id: id, ...event });
    toast(message, { action: { label: "Undo", run: () => takeBack(undo) } });
    await Promise.all([refresh(), showPerson(), showRows()]);
  } catch (error) {
    toast(error.message, { error: true, action: { label: "Try again", run: () => tell(event, message) } });
    draw();
  }
}

async function takeBack(undo) {
  try {
    await undo();
    toast("Taken back");
    await Promise.all([refresh(), showPerson(), showRows()]);
  } catch (error) {
    toast(error.message, { error: true, action: { label: "Try again", run: () => takeBack(undo) } });
  }
}

const settings = controls(document.getElementById("dials"), settle(refresh));
for (const box of boxes) {
  box.addEventListener("change", () => {
    bound();
    try {
      localStorage.setItem(KEPT, JSON.stringify(chosen()));
    } catch {
      // nothing is kept in this browser
    }
    refresh();
  });
}

historyBox.replaceChildren(h("ul", { class: "rail", "aria-hidden": "true" }, bones("card", 5)));
tasteBox.replaceChildren(...bones("row", 2));
choose();
refresh();
showPerson();
showRows();
