// <star-rating value="3.5" label="Rate Heat">: half stars by mouse, touch or keyboard; fires "rate" with the value, 0 once cleared.
// Arrows choose and Enter rates, since a rating may take the movie off the list; 1 to 5 rate at once, Delete clears.
import { s, share } from "./dom.js";

const STAR = "M10 1.6l2.6 5.3 5.8.8-4.2 4.1 1 5.8L10 14.9l-5.2 2.7 1-5.8L1.6 7.7l5.8-.8z";

class StarRating extends HTMLElement {
  static observedAttributes = ["value"];

  connectedCallback() {
    if (!this.firstChild) this.append(stars("hollow"), stars("full"));
    if (this.hasAttribute("read-only")) {
      this.classList.add("read-only");
      this.setAttribute("role", "img");
    } else if (!this.hasAttribute("role")) {
      this.setAttribute("role", "slider");
      this.tabIndex = 0;
      this.setAttribute("aria-valuemin", "0");
      this.setAttribute("aria-valuemax", "5");
      this.setAttribute("aria-label", this.getAttribute("label") ?? "Rating");
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

  get value() {
    const value = Number(this.getAttribute("value"));
    return value >= 0.5 && value <= 5 ? Math.round(value * 2) / 2 : 0;
  }

  under(event) {
    const box = this.getBoundingClientRect();
    const from = getComputedStyle(this).direction === "rtl" ? box.right - event.clientX : event.clientX - box.left;
    return Math.min(5, Math.max(0.5, Math.ceil((from / box.width) * 10) / 2));
  }

  choose(event) {
    event.preventDefault();
    const value = this.under(event);
    this.rate(value === this.value ? 0 : value);
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowRight: 0.5, ArrowUp: 0.5, ArrowLeft: -0.5, ArrowDown: -0.5, PageUp: 1, PageDown: -1, Home: -5, End: 5 };
    if (event.key in steps) this.show(Math.min(5, Math.max(0.5, (this.chosen ?? this.value) + steps[event.key])), true);
    else if (event.key === "Enter" || event.key === " ") this.chosen && this.rate(this.chosen);
    else if (event.key === "Escape" && this.chosen) this.show(this.value);
    else if (/^[1-5]$/.test(event.key)) this.rate(Number(event.key));
    else if (["Delete", "Backspace", "0"].includes(event.key)) this.value && this.rate(0);
    else return;
    event.preventDefault();
  }

  rate(value) {
    this.chosen = null;
    this.setAttribute("value", value);
    this.dispatchEvent(new CustomEvent("rate", { bubbles: true, detail: value }));
  }

  /** chosen: by arrows, and not yet rated. */
  show(value, chosen = false) {
    const full = this.querySelector(".full");
    if (!full) return;
    share(full, value / 5);
    this.chosen = chosen ? value : null;
    const text = chosen ? `${value} of 5 stars, Enter to rate` : this.value ? `${this.value} of 5 stars` : "not rated";
    if (this.hasAttribute("read-only")) {
      this.setAttribute("aria-label", text);
      return;
    }
    this.setAttribute("aria-valuenow", chosen ? value : this.value);
    this.setAttribute("aria-valuetext", text);
  }
}

function stars(kind) {
  const place = (n) => s("path", { d: STAR, transform: `translate(${n * 20} 0)` });
  return s("svg", { viewBox: "0 0 100 20", class: kind, "aria-hidden": "true", preserveAspectRatio: "none" }, [0, 1, 2, 3, 4].map(place));
}

customElements.define("star-rating", StarRating);
