// <star-rating value="3.5" label="Rate Heat">: by mouse, touch or keyboard; fires "rate" with the value, null once cleared.
// Arrows choose and Enter rates, since a rating may take the movie off the list; 1 to 5 rate at once, Delete clears.
// Where there is but a like to give, it is a button of one star.
import { s, share } from "./dom.js";
import { filled, HIGHEST, LIKES_ONLY, LOWEST, OF_A_STAR, ratingAt, RATE, said, STARS, stepped } from "./scale.js";

const STAR = "M10 1.6l2.6 5.3 5.8.8-4.2 4.1 1 5.8L10 14.9l-5.2 2.7 1-5.8L1.6 7.7l5.8-.8z";

class StarRating extends HTMLElement {
  static observedAttributes = ["value"];

  connectedCallback() {
    if (!this.firstChild) this.append(stars("hollow"), stars("full"));
    this.classList.toggle("like", LIKES_ONLY);
    if (this.hasAttribute("read-only")) {
      this.classList.add("read-only");
      this.setAttribute("role", "img");
    } else if (!this.hasAttribute("role")) {
      this.setAttribute("role", LIKES_ONLY ? "button" : "slider");
      this.tabIndex = 0;
      if (!LIKES_ONLY) {
        this.setAttribute("aria-valuemin", Math.min(0, LOWEST));
        this.setAttribute("aria-valuemax", HIGHEST);
      }
      this.setAttribute("aria-label", this.getAttribute("label") ?? RATE);
      this.addEventListener("click", (event) => this.choose(event));
      this.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.show(this.under(event)));
      this.addEventListener("pointerleave", () => this.show(this.value));
      this.addEventListener("blur", () => this.show(this.value));
      this.addEventListener("keydown", (event) => this.press(event));
    }
    this.show(this.value);
  }

  attributeChangedCallback() {
    if (this.isConnected) this.show(this.value);
  }

  /** The rating, or null where there is none. */
  get value() {
    const written = this.getAttribute("value");
    return written && Number.isFinite(Number(written)) ? Number(written) : null;
  }

  set value(rating) {
    if (rating === null) this.removeAttribute("value");
    else this.setAttribute("value", rating);
  }

  under(event) {
    const box = this.getBoundingClientRect();
    const from = getComputedStyle(this).direction === "rtl" ? box.right - event.clientX : event.clientX - box.left;
    return ratingAt(from / box.width);
  }

  choose(event) {
    event.preventDefault();
    this.toggle(this.under(event));
  }

  toggle(rating) {
    this.rate(rating === this.value ? null : rating);
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: OF_A_STAR, PageDown: -OF_A_STAR, Home: -Infinity, End: Infinity };
    if (["Enter", " "].includes(event.key)) LIKES_ONLY ? this.toggle(LOWEST) : this.chosen !== null && this.rate(this.chosen);
    else if (event.key in steps && !LIKES_ONLY) this.show(stepped(this.chosen ?? this.value, steps[event.key]), true);
    else if (event.key === "Escape" && this.chosen !== null) this.show(this.value);
    else if (/^[1-5]$/.test(event.key)) this.rate(ratingAt(Number(event.key) / 5));
    else if (["Delete", "Backspace", "0"].includes(event.key)) this.value !== null && this.rate(null);
    else return;
    event.preventDefault();
  }

  rate(rating) {
    this.chosen = null;
    this.value = rating;
    this.dispatchEvent(new CustomEvent("rate", { bubbles: true, detail: rating }));
  }

  /** chosen: by arrows, and not yet rated. */
  show(rating, chosen = false) {
    const full = this.querySelector(".full");
    if (!full) return;
    share(full, rating === null ? 0 : filled(rating));
    this.chosen = chosen ? rating : null;
    const text = chosen ? `${inStars(rating)}, Enter to rate` : this.value === null ? "not rated" : inStars(this.value);
    if (this.hasAttribute("read-only")) {
      this.setAttribute("aria-label", text);
    } else if (LIKES_ONLY) {
      this.setAttribute("aria-pressed", String(this.value !== null));
    } else {
      this.setAttribute("aria-valuenow", (chosen ? rating : this.value) ?? Math.min(0, LOWEST));
      this.setAttribute("aria-valuetext", text);
    }
  }
}

/** A rating in words, as many of stars where each is one. */
const inStars = (rating) => (HIGHEST === STARS && !LIKES_ONLY ? `${said(rating)} stars` : said(rating));

function stars(kind) {
  const place = (n) => s("path", { d: STAR, transform: `translate(${n * 20} 0)` });
  return s("svg", { viewBox: `0 0 ${STARS * 20} 20`, class: kind, "aria-hidden": "true", preserveAspectRatio: "none" }, Array.from({ length: STARS }, (_, n) => place(n)));
}

customElements.define("star-rating", StarRating);
