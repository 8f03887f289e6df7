// A chart's picture with its title: on the page the title is text above the chart, which "Download as PNG" would leave out.
if (!window.movierecPicture) {
  const [MARGIN, GAP] = [16, 6]
  const titleOf = (tool) => { // [text, font, height of a line] of the conclusion and of how to read it
    const above = tool.closest("[data-testid=stElementContainer], [data-testid=stLayoutWrapper]")?.previousElementSibling
    const said = above?.querySelector("[data-testid=stMarkdownContainer] p")
    return [[said?.querySelector("strong")?.innerText ?? "", "600 16px", 22], [said?.querySelector("small")?.innerText ?? "", "13px", 18]]
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
    const drawn = tool?.closest("[data-testid=stFullScreenFrame]")?.querySelector("canvas.marks")
    if (!drawn) return // drawn otherwise: Streamlit saves it
    event.stopImmediatePropagation()
    event.preventDefault()
    const box = drawn.getBoundingClientRect(), ratio = drawn.width / box.width, texts = titleOf(tool)
    const style = getComputedStyle(document.querySelector("[data-testid=stApp]"))
    const picture = document.createElement("canvas"), paint = picture.getContext("2d")
    const lines = linesOf(paint, texts, style.fontFamily, box.width)
    const head = MARGIN + lines.reduce((sum, one) => sum + one.height, 0) + GAP
    picture.width = (box.width + 2 * MARGIN) * ratio
    picture.height = (head + box.height + MARGIN) * ratio
    paint.scale(ratio, ratio)
    paint.fillStyle = style.backgroundColor
    paint.fillRect(0, 0, picture.width, picture.height)
    paint.fillStyle = style.color
    let top = MARGIN
    for (const { line, height, font } of lines) {
      paint.font = font
      paint.fillText(line, MARGIN, (top += height) - 5)
    }
    paint.drawImage(drawn, MARGIN, head, box.width, box.height)
    const name = texts[0][0].replace(/[^\p{L}\p{N}]+/gu, "-").toLowerCase().slice(0, 60).replace(/^-|-$/g, "")
    Object.assign(document.createElement("a"), { download: `${name || "chart"}.png`, href: picture.toDataURL("image/png") }).click()
  }
  window.addEventListener("click", onClick, true) // before Streamlit's own
  window.movierecPicture = true
}
