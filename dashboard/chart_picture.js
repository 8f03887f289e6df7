// A chart's picture with its title: on the page the title is text above the chart, which "Download as PNG" would leave out.
if (!window.movierecPicture) {
  const [MARGIN, GAP, SCALE, SPARE, FONT] = [16, 6, 2, 28, "Arial, 'Liberation Sans', sans-serif"]
  const titleOf = (tool) => { // [text, font, height of a line] of the conclusion and of how to read it
    const above = tool.closest("[data-testid=stElementContainer], [data-testid=stLayoutWrapper]")?.previousElementSibling
    const said = above?.querySelector("[data-testid=stMarkdownContainer] p")
    return [[said?.querySelector("strong")?.innerText ?? "", "600 16px", 22], [said?.innerText.split("\n").slice(1).join(" ") ?? "", "13px", 18]]
  }
  const linesOf = (paint, texts, family, width) => texts.flatMap(([text, size, height]) => {
    const font = paint.font = `${size} ${family}`, lines = [""]
    for (const word of text.split(/\s+/).filter(Boolean)) {
      if (lines.at(-1) && paint.measureText(`${lines.at(-1)} ${word}`).width > width) lines.push("")
      lines[lines.length - 1] = `${lines.at(-1)} ${word}`.trim()
    }
    return lines.filter(Boolean).map((line) => ({ line, height, font }))
  })
  const onClick = (event) => {
    const tool = event.target.closest?.("[data-testid=stElementToolbar] button[aria-label^='Download as PNG']")
    const drawn = tool?.closest("[data-testid=stFullScreenFrame]")?.querySelector("svg.marks")
    if (!drawn) return // drawn otherwise: Streamlit saves it
    event.stopImmediatePropagation()
    event.preventDefault()
    const image = new Image(), texts = titleOf(tool), copy = drawn.cloneNode(true)
    const height = drawn.height.baseVal.value, width = drawn.width.baseVal.value + 2 * SPARE
    for (const one of copy.querySelectorAll("text")) one.setAttribute("font-family", FONT) // a picture has no font of the page
    for (const [name, value] of Object.entries({ width, viewBox: `${-SPARE} 0 ${width} ${height}` })) copy.setAttribute(name, value)
    image.onload = () => save(image, texts, width, height)
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`
  }
  const save = (image, texts, width, height) => {
    const style = getComputedStyle(document.querySelector("[data-testid=stApp]"))
    const picture = document.createElement("canvas"), paint = picture.getContext("2d")
    const lines = linesOf(paint, texts, style.fontFamily, width)
    const head = MARGIN + lines.reduce((sum, one) => sum + one.height, 0) + GAP
    picture.width = (width + 2 * MARGIN) * SCALE
    picture.height = (head + height + MARGIN) * SCALE
    paint.scale(SCALE, SCALE)
    paint.fillStyle = style.backgroundColor
    paint.fillRect(0, 0, picture.width, picture.height)
    paint.fillStyle = style.color
    let top = MARGIN
    for (const { line, height, font } of lines) {
      paint.font = font
      paint.fillText(line, MARGIN, (top += height) - 5)
    }
    paint.drawImage(image, MARGIN, head, width, height)
    const name = texts[0][0].replace(/[^\p{L}\p{N}]+/gu, "-").toLowerCase().slice(0, 60).replace(/^-|-$/g, "")
    Object.assign(document.createElement("a"), { download: `${name || "chart"}.png`, href: picture.toDataURL("image/png") }).click()
  }
  window.addEventListener("click", onClick, true) // before Streamlit's own
  window.movierecPicture = true
}
