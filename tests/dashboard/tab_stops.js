/* The element that has the focus: its name, its table or row of tools by number, its place on the page, whether it is in
the page's content, and whether a visitor sees that it has the focus: an outline, a shadow or a border that it, or what
is right around it, did not have when this was called first, before Tab. Null where nothing of the page has it, or all of it has been passed. */
() => {
  const look = (one) => { const style = getComputedStyle(one); return [style.outlineStyle === "none" ? "" : style.outline, style.boxShadow, style.borderColor, style.backgroundColor].join() }
  const around = (one) => { const all = []; for (let at = one; at && all.length < 8; at = at.parentElement) all.push(at); return all }
  const looks = (one) => around(one).map(look)
  if (!window.movierecLooks) window.movierecLooks = new Map([...document.querySelectorAll("a, button, input, canvas, summary, [tabindex]")].map((one) => [one, looks(one)]))
  const at = document.activeElement
  if (!at || at === document.body || at.dataset.passed) return null
  at.dataset.passed = "1"
  const main = document.querySelector("[data-testid=stMain]"), box = at.getBoundingClientRect()
  const number = (selector, one = at.closest(selector)) => one ? [...document.querySelectorAll(selector)].indexOf(one) : null
  const before = window.movierecLooks.get(at) // a box is drawn otherwise only some time after the focus has left it
  const visible = (() => { for (let one = at; one; one = one.parentElement) if (getComputedStyle(one).opacity === "0" && one.tagName !== "INPUT") return false; return true })()
  return {
    name: (at.getAttribute("aria-label") || at.innerText || at.title || at.tagName).trim().slice(0, 60),
    table: at.matches("canvas, td, th") ? number("[data-testid=stDataFrame]") : null,
    tools: number("[data-testid=stElementToolbar]"),
    inside: main.contains(at) && at !== main,
    left: box.left, right: box.right, top: box.top + main.scrollTop,
    seen: visible && (!before || looks(at).some((style, place) => style !== before[place])),
  }
}
