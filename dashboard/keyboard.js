// Few tab stops: Tab passes a table, and a row of tools over a chart or a table, in one step; arrows move within them.
if (!window.movierecKeyboard) {
  const CAN_HAVE_FOCUS = "a[href], button, input, select, textarea, summary, [tabindex]"
  const stops = () => [...document.querySelectorAll(CAN_HAVE_FOCUS)].filter((one) =>
    one.tabIndex >= 0 && !one.disabled && !one.closest("[inert], td, th") && one.checkVisibility({ visibilityProperty: true }))
  const leave = (event, first, last) => {
    const all = stops()
    const next = event.shiftKey ? all[all.indexOf(first) - 1] : all[all.indexOf(last) + 1]
    event.stopImmediatePropagation() // a table would go from cell to cell
    if (!next) return
    next.focus()
    event.preventDefault()
  }
  const onKey = (event) => {
    const at = event.target
    if (!(at instanceof Element) || event.altKey || event.ctrlKey || event.metaKey) return
    const table = at.closest("[data-testid=data-grid-canvas]") // its cells are inside, for screen readers
    const tools = [...(at.closest("[data-testid=stElementToolbar]")?.querySelectorAll("button") ?? [])]
    if (event.key === "Tab" && table) leave(event, table, table)
    else if (event.key === "Tab" && tools.length) leave(event, tools.at(0), tools.at(-1))
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (tools.length && step) {
      tools.at((tools.indexOf(at) + step) % tools.length).focus()
      event.preventDefault()
    }
  }
  window.addEventListener("keydown", onKey, true) // before the table's own
  window.movierecKeyboard = true
}
