/* What a page does against reading by everybody, each as a sentence: contrast of texts below 4.5 (3 of large ones), controls
without a name, headings that skip a level, charts and pictures without an alternative text, no main landmark, text that is
cut without a way to read it. After the success criteria of WCAG 2.2. */
() => {
  const found = []
  const shown = (one) => {
    const style = getComputedStyle(one), box = one.getBoundingClientRect()
    return style.visibility !== 'hidden' && style.display !== 'none' && box.width > 1 && box.height > 1 && !one.closest('[aria-hidden=true], [inert]')
  }
  const called = (one) => `<${one.tagName.toLowerCase()}${one.dataset.testid ? ` ${one.dataset.testid}` : ''}> ${(one.innerText || one.getAttribute('aria-label') || '').trim().slice(0, 60)}`
  const channels = (text) => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
    canvas.fillStyle = text
    canvas.fillRect(0, 0, 1, 1)
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data
    const alpha = a / 255
    return alpha ? [r, g, b, alpha] : [0, 0, 0, 0]
  }
  const over = (top, below) => [0, 1, 2].map((n) => top[n] * top[3] + below[n] * (1 - top[3])).concat(1)
  const background = (one) => {
    const layers = []
    for (let at = one; at; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor)
      if (color[3] > 0) layers.push(color)
      if (color[3] >= 1) break
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1])
  }
  const light = (color) => {
    const [r, g, b] = color.slice(0, 3).map((n) => n / 255).map((n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const contrast = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b)
    return (high + 0.05) / (low + 0.05)
  }
  const opacity = (one) => { let all = 1; for (let at = one; at; at = at.parentElement) all *= Number(getComputedStyle(at).opacity); return all }

  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())
    if (!own || !shown(one) || one.closest('svg, canvas, script, style') || one.matches(':disabled, :disabled *, [aria-disabled=true] *')) continue
    const style = getComputedStyle(one), size = parseFloat(style.fontSize)
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
    const behind = background(one), color = channels(style.color)
    const ratio = contrast(over([color[0], color[1], color[2], color[3] * opacity(one)], behind), behind)
    if (ratio < (large ? 3 : 4.5) - 0.005) found.push(`contrast ${ratio.toFixed(2)}: ${called(one)}`)
    const cut = one.scrollWidth > one.clientWidth + 1 && ['hidden', 'clip'].includes(style.overflowX) && one.clientWidth > 1
    if (cut && !one.title && !one.closest('[title]')) found.push(`cut off: ${called(one)}`)
  }
  for (const one of document.querySelectorAll('[data-testid=stMetricValue], [data-testid=stMetricLabel]'))
    if ([one, ...one.querySelectorAll('*')].some((part) => part.clientWidth && part.scrollWidth > part.clientWidth + 1)) found.push(`cut off: ${called(one)}`)
  const named = (one) => one.getAttribute('aria-label') || one.title || one.innerText?.trim() || [...(one.labels || [])].some((label) => label.innerText.trim()) || one.querySelector('img[alt], svg[aria-label], svg title') ||
    (one.getAttribute('aria-labelledby') || '').split(' ').some((id) => document.getElementById(id)?.innerText.trim())
  for (const one of document.querySelectorAll('button, a[href], input, select, textarea, [role=button], [role=slider], [role=combobox], [role=tab], [role=checkbox], [role=switch]'))
    if (shown(one) && one.type !== 'hidden' && !named(one)) found.push(`no name: ${one.outerHTML.slice(0, 140)}`)
  let level = 0
  for (const one of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
    if (!shown(one)) continue
    const next = Number(one.tagName[1])
    if (next > level + 1) found.push(`heading of level ${next} after ${level}: ${one.innerText.slice(0, 60)}`)
    level = next
  }
  if ([...document.querySelectorAll('h1')].filter(shown).length !== 1) found.push(`${document.querySelectorAll('h1').length} headings of level 1`)
  if (!document.querySelector('main, [role=main]')) found.push('no main landmark')
  if (!document.documentElement.lang) found.push('no language')
  for (const one of document.querySelectorAll('img, [role=img], canvas.marks, svg.marks')) {
    const text = one.getAttribute('alt') ?? one.getAttribute('aria-label') ?? one.closest('[aria-label]')?.getAttribute('aria-label')
    if (shown(one) && !(text || '').trim() && one.getAttribute('role') !== 'presentation' && one.alt !== '') found.push(`no alternative text: ${one.outerHTML.slice(0, 140)}`)
  }
  for (const one of document.querySelectorAll('[data-testid=stVegaLiteChart], [data-testid=stDataFrame]'))
    if (/^vega visualization$/i.test(one.getAttribute('aria-label') || '')) found.push(`no alternative text: ${one.outerHTML.slice(0, 140)}`)
  return [...new Set(found)]
}
