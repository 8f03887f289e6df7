// Elements from text alone: nothing here reads a string as HTML.

const SVG = "http://www.w3.org/2000/svg";

const { noun = "movie", nouns = "movies" } = document.documentElement.dataset;
/** What the data set calls one of its items, and several. */
export const [NOUN, NOUNS] = [noun, nouns];

/** The path below which a proxy shows this server, or "". */
export const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** An element: h("a", { href: "/", class: "title", onclick: f }, "text", child). Null children are left out. */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same for SVG. */
export function s(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A percentage for the style sheet: bars, stars and progress read --share. */
export function share(element, part) {
  element.style.setProperty("--share", `${Math.round(Math.min(1, Math.max(0, part)) * 1000) / 10}%`);
  return element;
}

export const cross = () => s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, s("path", { d: "M6 6l12 12M18 6 6 18" }));

/** Call once nothing has called for a while. */
export function settle(action, milliseconds = 180) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), milliseconds);
  };
}

/** A message over the page, in the place of the one before; with an action it offers a button. */
export function toast(message, { error = false, action = null } = {}) {
  const box = h("div", { class: error ? "toast error" : "toast", role: error ? "alert" : "status" }, h("span", {}, message));
  const close = () => box.remove();
  if (action) box.append(h("button", { type: "button", onclick: () => { close(); action.run(); } }, action.label));
  document.getElementById("toasts").replaceChildren(box);
  setTimeout(close, error || action ? 8000 : 4000);
}

/** A promise of the API key that is typed in, "" where none is. */
export function askForKey(why) {
  const field = h("input", { class: "field", id: "key", type: "password", required: true, autocomplete: "off", maxlength: 200 });
  const box = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "key-why" },
    h(
      "form",
      { method: "dialog" },
      h("p", { id: "key-why" }, why),
      h("label", { for: "key" }, "API key"),
      field,
      h("div", { class: "ways" }, h("button", { class: "button", value: "given" }, "Go on"), h("button", { class: "button plain", type: "button", onclick: () => box.close("") }, "Cancel")),
    ),
  );
  document.body.append(box);
  box.showModal();
  return new Promise((resolve) => {
    box.addEventListener("close", () => {
      box.remove();
      resolve(box.returnValue === "given" ? field.value.trim() : "");
    });
  });
}

export function empty(title, text, ...more) {
  return h("div", { class: "empty" }, h("b", {}, title), h("p", {}, text), ...more);
}

/** Grey shapes where cards or rows will be. */
export function bones(kind, count) {
  const card = () => h("li", { "aria-hidden": "true" }, h("div", { class: "bone poster" }), h("div", { class: "bone line" }), h("div", { class: "bone line short" }));
  const row = () => h("li", { class: "row", "aria-hidden": "true" }, h("div", { class: "bone thumb" }), h("div", {}, h("div", { class: "bone line" }), h("div", { class: "bone line short" })));
  return Array.from({ length: count }, kind === "row" ? row : card);
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
