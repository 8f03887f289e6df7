// Search as you type, as a combobox: arrows choose, Enter takes, Escape closes.
import { newest, search } from "./client.js";
import { h, NOUN, NOUNS, settle } from "./dom.js";
import { about, address, poster } from "./movies.js";

/** root: a .search with an input and a .suggestions. pick(movie): what happens with a chosen movie. */
export function combobox(root, pick) {
  const input = root.querySelector("input");
  const box = root.querySelector(".suggestions");
  const status = root.querySelector(".spoken[role=status]");
  const id = box.id;
  let movies = [];
  let active = -1;

  const options = () => [...box.querySelectorAll("[role=option]")];

  function open(content) {
    box.replaceChildren(content);
    box.hidden = false;
    input.setAttribute("aria-expanded", String(movies.length > 0));
  }

  function close() {
    box.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function activate(place) {
    const all = options();
    active = all.length ? (place + all.length) % all.length : -1;
    all.forEach((one, number) => one.setAttribute("aria-selected", String(number === active)));
    if (active < 0) return;
    all[active].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", all[active].id);
  }

  function take(movie) {
    close();
    input.value = "";
    pick(movie);
  }

  const find = newest(async (signal, text) => search(text, signal));

  const look = settle(async () => {
    const text = input.value.trim();
    if (!text) return close();
    try {
      const found = await find(text);
      if (!found || input.value.trim() !== text || document.activeElement !== input) return;
      movies = found;
      active = -1;
      input.removeAttribute("aria-activedescendant");
      open(movies.length ? list() : h("p", {}, "No title like “", h("bdi", {}, text), "”. Try fewer letters, or another word."));
      status.textContent = movies.length ? `${movies.length} ${NOUNS} found` : `No ${NOUN} found`;
    } catch (error) {
      movies = [];
      open(h("p", { role: "alert" }, error.message));
    }
  }, 140);

  function list() {
    const option = (movie, number) =>
      h(
        "li",
        { role: "option", id: `${id}-${number}`, "aria-selected": "false", onpointerdown: (event) => event.preventDefault(), onclick: () => take(movie), onpointermove: () => active !== number && activate(number) },
        poster(movie),
        h("span", {}, h("b", { dir: "auto" }, movie.title), h("small", {}, about(movie, 3))),
      );
    return h("ul", { role: "listbox", id: `${id}-list`, "aria-label": NOUNS[0].toUpperCase() + NOUNS.slice(1) }, movies.map(option));
  }

  input.addEventListener("input", () => {
    const text = input.value.trim();
    if (!text) close();
    else if (box.hidden) { movies = []; open(h("p", {}, "Searching …")); }
    look();
  });
  input.addEventListener("focus", () => input.value.trim() && look());
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (box.hidden) return look();
      activate(active < 0 && event.key === "ArrowUp" ? -1 : active + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter" && !box.hidden && active >= 0) {
      event.preventDefault();
      take(movies[active]);
    } else if (event.key === "Escape") {
      if (box.hidden) input.value = "";
      else close();
      event.preventDefault();
    }
  });
}

export const visit = (movie) => location.assign(address(movie));
