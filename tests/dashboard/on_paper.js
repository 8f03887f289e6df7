/* What of a page would be cut or squashed on paper of a width in pixels, each as a sentence. The rules for print are
applied for as long as this runs, so that nothing can adapt to them before it is measured: a printer gets no second look. */
(width) => {
  const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
  const print = rules.filter((rule) => rule instanceof CSSMediaRule && rule.media.mediaText === "print")
  const style = document.createElement("style")
  style.textContent = print.flatMap((rule) => [...rule.cssRules].map((one) => one.cssText)).join("\n")
  const [root, natural] = [document.documentElement, new Map()]
  for (const one of document.querySelectorAll("canvas.marks, svg.marks")) {
    const box = one.getBoundingClientRect()
    if (box.width) natural.set(one, box.height / box.width)
  }
  document.head.append(style)
  root.style.width = `${width}px`
  for (const one of [document.body, document.querySelector("[data-testid=stApp], main")]) if (one) one.style.width = `${width}px`
  const found = []
  const called = (one) => `<${one.tagName.toLowerCase()} ${one.dataset?.testid ?? one.getAttribute("class") ?? ""}> ${(one.innerText ?? "").trim().slice(0, 50)}`
  for (const one of document.querySelectorAll("[data-testid=stMainBlockContainer] *, main *")) {
    const box = one.getBoundingClientRect(), hidden = one.closest("svg, td, th") && !one.matches("svg, td, th")
    if (hidden || one.closest("[data-testid=data-grid-canvas] *") || !box.width || !box.height || getComputedStyle(one).visibility === "hidden") continue
    if (one.closest(".vega-bind, [aria-hidden=true]")) continue
    if (box.right > width + 1 && !one.closest("[data-testid=stDataFrame] div")) found.push(`${Math.round(box.right)} of ${width} pixels: ${called(one)}`)
    if (one.matches("h1") && box.top < document.querySelector("[data-testid=stMainBlockContainer], main").getBoundingClientRect().top - 1) found.push(`above the page: ${called(one)}`)
  }
  for (const [one, ratio] of natural) {
    const box = one.getBoundingClientRect()
    if (box.width && Math.abs(box.height / box.width / ratio - 1) > 0.02) found.push(`squashed: ${called(one)}`)
  }
  for (const one of document.querySelectorAll("[data-testid=stColumn], .row > section, .panel")) {
    const box = one.getBoundingClientRect()
    if (box.height && box.width < width * 0.9 && one.querySelector("canvas, svg.marks, figure, table")) found.push(`beside another: ${called(one)}`)
  }
  for (const kind of ["stSelectbox", "stMultiSelect", "stButton", "stDownloadButton", "stPopover", "stTextInput"])
    if ([...document.querySelectorAll(`[data-testid=${kind}]`)].some((one) => one.getBoundingClientRect().height)) found.push(`a ${kind}`)
  style.remove()
  for (const one of [root, document.body, document.querySelector("[data-testid=stApp], main")]) if (one) one.style.width = ""
  return found
}
