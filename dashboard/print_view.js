// Saves what the page shows as one HTML file: text, tables and drawings by an allow-list, nothing that runs or is asked for.
function movierecSave(about, style) {
  const skipped = "[data-testid=stHeaderActionElements],[data-testid=stIconMaterial],[data-testid=stTooltipIcon],button,input,select,textarea,script,style"
  const tags = "A B BR CODE DIV EM H1 H2 H3 H4 H5 H6 LI OL P PRE SMALL SPAN STRONG TABLE TBODY TD TH THEAD TR UL".split(" ")
  const leaves = ["stMarkdownContainer", "stCaptionContainer", "stHeading", "stCode", "stMetric", "stAlert"]
  const boxes = ["stSelectbox", "stMultiSelect", "stTextInput", "stTextArea", "stSlider", "stCheckbox", "stToggle", "stButton",
    "stDownloadButton", "stPopover", "stForm", "stPageLink", "stDateInput", "stProgress"]
  const make = (name, text = "") => Object.assign(document.createElement(name), { textContent: text })
  function text(from, into) {
    for (const one of from.childNodes) {
      if (one.nodeType === 3) into.append(one.textContent)
      if (one.nodeType !== 1 || one.matches(skipped)) continue
      const copy = tags.includes(one.tagName) ? into.appendChild(make(one.tagName)) : into
      if (one.tagName === "A" && /^https?:/.test(one.href)) copy.href = one.href
      if (one.className === "number" || one.className === "print-table") copy.className = one.className
      text(one, copy)
    }
  }
  function drawing(from, into) {
    const svg = from.querySelector("svg.marks, canvas")
    const figure = into.appendChild(make("figure"))
    figure.setAttribute("role", "img")
    figure.setAttribute("aria-label", from.getAttribute("aria-label") || from.querySelector("[aria-label]")?.getAttribute("aria-label") || "chart")
    if (!svg) return
    if (svg.tagName === "CANVAS") return figure.appendChild(Object.assign(make("img"), { src: svg.toDataURL(), alt: "" }))
    const copy = svg.cloneNode(true)
    copy.querySelectorAll("script, foreignObject, a").forEach((one) => one.remove())
    copy.setAttribute("viewBox", `0 0 ${svg.width.baseVal.value} ${svg.height.baseVal.value}`)
    copy.removeAttribute("style")
    figure.append(copy)
  }
  function walk(from, into) {
    for (const one of from.children) {
      const kind = one.getAttribute("data-testid") || ""
      if (boxes.includes(kind) || one.matches(skipped) || one.matches(".st-key-page-bar, .st-key-print-bar")) continue
      if (kind === "stVegaLiteChart") drawing(one, into)
      else if (kind === "stHtml") text(one, into)
      else if (leaves.includes(kind)) {
        const block = into.appendChild(make("div"))
        block.className = kind
        text(one, block)
      } else if (kind === "stHorizontalBlock") {
        const row = make("div")
        row.className = "row"
        walk(one, row)
        if (row.textContent.trim() || row.querySelector("figure")) into.append(row)
      } else if (kind === "stColumn") {
        const panel = into.appendChild(make("section"))
        walk(one, panel)
        if (!panel.textContent.trim() && !panel.querySelector("figure")) panel.remove()
      } else walk(one, into)
    }
  }
  function file() {
    const main = make("main")
    walk(document.querySelector("[data-testid=stMainBlockContainer]"), main)
    const page = document.implementation.createHTMLDocument(about.title)
    const policy = page.createElement("meta")
    policy.httpEquiv = "Content-Security-Policy"
    policy.content = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    const charset = page.createElement("meta")
    charset.setAttribute("charset", "utf-8")
    const view = page.createElement("meta")
    view.name = "viewport"
    view.content = "width=device-width"
    page.head.prepend(charset, policy, view)
    page.head.append(Object.assign(page.createElement("style"), { textContent: style }))
    page.documentElement.lang = "en"
    page.body.append(page.adoptNode(main), page.adoptNode(make("footer", `${about.title}, ${about.made}`)))
    return "\x3c!doctype html>\n" + page.documentElement.outerHTML
  }
  document.getElementById("save-view").onclick = () => {
    const link = make("a")
    link.href = URL.createObjectURL(new Blob([file()], { type: "text/html" }))
    link.download = `${about.title.replace(/[^A-Za-z0-9]+/g, "-").toLowerCase()}.html`
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10000)
  }
}
