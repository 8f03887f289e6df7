/* The element that has the focus: its name, its table or row of tools by number, its place on the page, whether it is in
the page's content, and whether a visitor sees that it has the focus: an outline, a shadow or a border that it, or what
is right around it, has only now. Null where nothing of the page has it, or all of it has been passed. */
() => {
  const at = document.activeElement
  if (!at || at === document.body || at.dataset.passed) return null
  at.dataset.passed = "1"
  const main = document.querySelector("[data-testid=stMain]"), box = at.getBoundingClientRect()
  const number = (selector, one = at.closest(selector)) => one ? [...document.querySelectorAll(selector)].indexOf(one) : null
  const look = (one) => { const style = getComputedStyle(one); return [style.outlineStyle === "none" ? "" : style.outline, style.boxShadow, style.borderColor, style.backgroundColor].join() }
  const around = [at, ...[1, 2, 3, 4, 5, 6, 7].map((steps) => { let one = at; for (let n = 0; n < steps && one; n++) one = one.parentElement; return one })].filter(Boolean)
  const opaque = (() => { for (let one = at; one; one = one.parentElement) if (getComputedStyle(one).opacity === "0" && one.tagName !== "INPUT") return false; return true })()
  const focused = around.map(look)
  for (const one of around) one.style.transition = "none"
  at.blur()
  const blurred = around.map(look)
  at.focus({ preventScroll: true, focusVisible: true })
  return {
    name: (at.getAttribute("aria-label") || at.innerText || at.title || at.tagName).trim().slice(0, 60),
    table: at.matches("canvas, td, th") ? number("[data-testid=stDataFrame]") : null,
    tools: number("[data-testid=stElementToolbar]"),
    inside: main.contains(at) && at !== main,
    left: box.left, right: box.right, top: box.top + main.scrollTop,
    seen: opaque && focused.some((style, place) => style !== blurred[place]),
  }
}
