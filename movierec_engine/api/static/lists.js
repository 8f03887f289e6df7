// The dials and filters around a list.
import { h } from "./dom.js";

/** The settings of a <details class="dials"> as a request has them; changed() is called at each change. */
export function controls(root, changed) {
  const inputs = [...root.querySelectorAll("input, select")];
  const dials = inputs.filter((one) => one.type === "range");

  function show() {
    for (const dial of dials) {
      const text = Number(dial.value) ? `${Math.round(dial.value * 100)} %` : "off";
      root.querySelector(`output[for="${dial.id}"]`).textContent = text;
      dial.setAttribute("aria-valuetext", text);
    }
    const turned = inputs.filter((one) => one.value && one.value !== "0").length;
    root.querySelector("summary").replaceChildren(root.dataset.name, turned ? h("span", { class: "quiet" }, ` (${turned} set)`) : "");
  }

  root.dataset.name = root.querySelector("summary").textContent;
  root.addEventListener("input", () => { show(); changed(); });
  root.querySelector("[data-reset]").addEventListener("click", () => {
    for (const one of inputs) one.value = one.type === "range" ? "0" : "";
    show();
    changed();
  });
  show();
  return () => {
    const request = {};
    for (const { name, value, type, validity } of inputs) {
      if (!value || value === "0" || !validity.valid) continue;
      request[name] = name === "genres" ? [value] : type === "range" || type === "number" ? Number(value) : value;
    }
    return request;
  };
}
