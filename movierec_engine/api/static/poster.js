// <movie-poster data-title data-year data-genres="Crime|Drama" data-picture>: a poster drawn from the first three alone,
// the same every time, and over it the picture once it is there.
import { h, NOUN, s } from "./dom.js";

/** Genre -> hue, and its sign on a 24 by 24 sheet, drawn in lines. */
const GENRES = {
  "Action": [8, "M13 2 5 13h6l-1 9 9-12h-6z"],
  "Adventure": [32, "M2 20 9 7l4 7 3-5 6 11zM17 5.5a1.5 1.5 0 1 0 3 0 1.5 1.5 0 1 0-3 0"],
  "Animation": [288, "M12 3c1 5 4 8 9 9-5 1-8 4-9 9-1-5-4-8-9-9 5-1 8-4 9-9z"],
  "Children": [180, "M12 2c-3.5 0-6 2.7-6 6 0 4 3.5 7 6 7s6-3 6-7c0-3.3-2.5-6-6-6zM12 15c-2 2 2 4 0 7"],
  "Comedy": [44, "M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0M7.5 13.500c2 4.5 7 4.5 9 0zM8.5 9v.2M15.5 9v.2"],
  "Crime": [220, "M4 10.500a6.5 6.5 0 1 0 13 0 6.5 6.5 0 1 0-13 0M15.3 15.3 21 21"],
  "Documentary": [150, "M3 7h12v10H3zM15 11l6-3v8l-6-3"],
  "Drama": [202, "M4 4h16v8c0 5-4 8-8 8s-8-3-8-8zM8 9h2.500M13.5 9H16M8.5 15.500c2-2 5-2 7 0"],
  "Fantasy": [262, "M19 14.500A8 8 0 1 1 9.5 5a6.5 6.5 0 0 0 9.5 9.500zM17 3v4M15 5h4"],
  "Film-Noir": [24, "M3 5h18M3 9h18M3 13h18M3 17h18M6 5v14"],
  "Horror": [350, "M5 21V10a7 7 0 0 1 14 0v11l-3-2-2 2-2-2-2 2-2-2zM9.5 10v1.500M14.5 10v1.5"],
  "IMAX": [195, "M3 5c6 2 12 2 18 0v14c-6-2-12-2-18 0z"],
  "Musical": [322, "M9 18V5l11-2v13M3.5 18a2.750 2.5 0 1 0 5.5 0 2.750 2.5 0 1 0-5.5 0M14.5 16a2.750 2.5 0 1 0 5.5 0 2.750 2.5 0 1 0-5.5 0"],
  "Mystery": [238, "M8 9a4 4 0 1 1 6 3.500c-1.5.9-2 1.7-2 3.500M12 20v.2"],
  "Romance": [338, "M12 20S3 14.5 3 8.500C3 5.5 5.2 4 7.3 4 9.5 4 11 5.3 12 7c1-1.7 2.5-3 4.7-3C18.8 4 21 5.5 21 8.5 21 14.5 12 20 12 20z"],
  "Sci-Fi": [188, "M6.5 12a5.5 5.5 0 1 0 11 0 5.5 5.5 0 1 0-11 0M7 15c-3 2-5 3.2-4.5 4 .7 1 6-1.5 11-5s8-7 7.3-8c-.5-.7-2.8.2-5.3 1.7"],
  "Thriller": [268, "M2 12c3-5 6.5-7 10-7s7 2 10 7c-3 5-6.5 7-10 7s-7-2-10-7zM9 12a3 3 0 1 0 6 0 3 3 0 1 0-6 0"],
  "War": [82, "M12 2l8 3v6c0 5-3.5 9-8 11-4.5-2-8-6-8-11V5zM12 7l1.2 2.6 2.8.3-2.1 1.9.6 2.8-2.5-1.4-2.5 1.4.6-2.800L8 9.900l2.8-.3z"],
  "Western": [26, "M12 21V4a1.5 1.5 0 0 1 3 0v17M12 14H9.500A2.5 2.5 0 0 1 7 11.500V9M15 11h1.500A2.5 2.5 0 0 0 19 8.500V7M5 21h15"],
};
const FILM = "M4 5h16v14H4zM8 5v14M16 5v14M4 9.700h4M4 14.300h4M16 9.700h4M16 14.300h4";
const SQUARES = "M4 8h12v12H4zM8 8V4h12v12h-4";
const OTHER = [210, NOUN === "movie" ? FILM : SQUARES];

let made = 0;

/** Numbers from 0 to 1 that depend on a text alone. */
function numbers(text) {
  let state = 2166136261;
  for (const unit of text) state = Math.imul(state ^ unit.codePointAt(0), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Up to three letters or signs: of the first words that are no articles. */
export function initials(title) {
  const words = title.split(/[\s:,\-–—/()]+/u).filter(Boolean);
  const telling = words.filter((word) => !/^(the|a|an|of|and|le|la|les|el|der|die|das)$/iu.test(word));
  return (telling.length ? telling : words)
    .map((word) => Array.from(word.replace(/^[^\p{L}\p{N}\p{Extended_Pictographic}]+/u, ""))[0] ?? "")
    .filter(Boolean)
    .slice(0, 3)
    .join("")
    .toUpperCase();
}

const SCENES = [
  (next, light) => [s("circle", { cx: 40 + next() * 120, cy: 95 + next() * 50, r: 48 + next() * 22, fill: light, opacity: 0.22 }), ...[0, 1, 2, 3].map((n) => s("rect", { x: 0, y: 190 + n * 17, width: 200, height: 3 + n * 2.5, fill: light, opacity: 0.16 }))],
  (next, light) => { const x = next() < 0.5 ? 0 : 200; return [40, 75, 110, 145, 180].map((r) => s("circle", { cx: x, cy: 60, r, fill: "none", stroke: light, "stroke-width": 9, opacity: 0.14 })); },
  (next, light) => { const turn = 20 + next() * 40; return [-1, 0, 1, 2, 3, 4].map((n) => s("rect", { x: n * 52 - 40, y: -80, width: 22, height: 460, fill: light, opacity: 0.12, transform: `rotate(${turn} 100 150)` })); },
  (next, light) => [0, 1, 2].map((n) => { const top = 165 + n * 32; return s("path", { d: `M0 ${top + next() * 20}Q${40 + next() * 30} ${top - 45 - next() * 25} 100 ${top}T200 ${top - 15 + next() * 25}V300H0Z`, fill: light, opacity: 0.13 }); }),
  (next, light) => Array.from({ length: 48 }, (_, n) => s("circle", { cx: 17 + (n % 6) * 33, cy: 18 + Math.floor(n / 6) * 33, r: 2 + next() * 7, fill: light, opacity: 0.17 })),
  (next, light) => { const x = 60 + next() * 80; return [s("path", { d: `M${x} -10 10 310H130Z`, fill: light, opacity: 0.13 }), s("path", { d: `M${x} -10 80 310H200Z`, fill: light, opacity: 0.13 })]; },
];

export function draw(title, year, genres) {
  const next = numbers(`${title}|${year}`);
  const known = genres.filter((genre) => Object.hasOwn(GENRES, genre));
  const [base, sign] = known.length ? GENRES[known[Math.floor(next() * Math.min(2, known.length))]] : OTHER;
  const hue = Math.round(base + (next() - 0.5) * 36 + 360) % 360;
  const other = Math.round(hue + (next() < 0.5 ? -38 : 38) + 360) % 360;
  const light = `hsl(${hue} 75% 88%)`;
  const gradient = `poster-${(made += 1)}`;
  const letters = initials(title);
  const scene = SCENES[Math.floor(next() * SCENES.length)](next, light);
  const text = (x, anchor, size, content, more = {}) => s("text", { x, y: 280, "text-anchor": anchor, fill: light, "font-size": size, "font-family": "Georgia, serif", ...more }, content);
  return s(
    "svg",
    { viewBox: "0 0 200 300", preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true", focusable: "false" },
    s("defs", {}, s("linearGradient", { id: gradient, x1: 0, y1: 0, x2: next() < 0.5 ? 0.5 : 0.15, y2: 1 }, s("stop", { offset: 0, "stop-color": `hsl(${hue} ${42 + next() * 18}% ${34 + next() * 8}%)` }), s("stop", { offset: 1, "stop-color": `hsl(${other} 48% 17%)` }))),
    s("rect", { width: 200, height: 300, fill: `url(#${gradient})` }),
    scene,
    s("path", { d: sign, transform: "translate(52 82) scale(4)", fill: "none", stroke: light, "stroke-width": 1.4, "stroke-linejoin": "round", "stroke-linecap": "round", opacity: 0.95 }),
    text(16, "start", letters.length > 2 ? 34 : 42, letters, { "font-weight": 700, "letter-spacing": 1 }),
    year ? text(184, "end", 19, String(year), { opacity: 0.85 }) : null,
  );
}

class MoviePoster extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    const { title = "", year = "", genres = "", picture } = this.dataset;
    this.append(draw(title, year, genres.split("|").filter(Boolean)));
    if (!picture) return;
    const image = h("img", { alt: "", loading: "lazy", decoding: "async", referrerpolicy: "no-referrer", onload: () => image.classList.add("there"), onerror: () => image.remove() });
    image.src = picture;
    this.append(image);
  }
}

customElements.define("movie-poster", MoviePoster);
