// A graph as a picture to take along: SVG or PNG, with its title, its legend and the colours that the page has now.
import { plain, token } from "./drawing.js";

const SVG = "http://www.w3.org/2000/svg";
const EDGE = 24;
const TOP = 72;
const LINE = 24;
const SHARP = 2; // pixels of a PNG for each of the page
const measuring = document.createElement("canvas").getContext("2d");

// Shows the buttons of the panels that have a graph to take along.
export function offerPictures() {
  for (const offer of document.querySelectorAll("[data-with-script]")) {
    offer.hidden = !offer.closest(".panel").querySelector(".chart, .bars");
  }
}

document.addEventListener("click", ({ target }) => {
  const form = target.closest("[data-picture]")?.dataset.picture;
  if (!form) return;
  const panel = target.closest(".panel");
  const picture = drawn(panel);
  const name = `meterboard-${panel.id}.${form}`;
  const source = new XMLSerializer().serializeToString(picture);
  if (form === "svg") save(new Blob([source], { type: "image/svg+xml" }), name);
  else rastered(source, picture).then((blob) => save(blob, name));
});

function drawn(panel) {
  const chart = panel.querySelector(".chart svg");
  const legend = [...panel.querySelectorAll(".legend li, .stack-legend li")].map(entry);
  const width = Math.max(panel.querySelector(".doughnut") ? 800 : 640, (chart?.clientWidth ?? 0) + 2 * EDGE);
  const picture = element("svg", { xmlns: SVG, width, "font-family": getComputedStyle(document.body).fontFamily });
  picture.append(element("rect", { width: "100%", height: "100%", fill: token("--n0") }));
  picture.append(...title(panel));
  let bottom = TOP;
  if (chart) {
    picture.append(placed(chart));
    bottom += chart.clientHeight + EDGE / 2;
  }
  if (panel.querySelector(".doughnut")) {
    const left = chart.clientWidth + 2 * EDGE;
    picture.append(...legend.flatMap((row, index) => line(row, left, TOP + 16 + index * 32, width - EDGE)));
    bottom = Math.max(bottom, TOP + legend.length * 32);
  } else if (legend.length) bottom = inRows(picture, legend, width, bottom + 8);
  bottom = barsOf(panel, picture, width, bottom);
  picture.setAttribute("height", bottom + EDGE);
  picture.setAttribute("viewBox", `0 0 ${width} ${bottom + EDGE}`);
  return picture;
}

function element(tag, attributes, words) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (words !== undefined) made.textContent = words;
  return made;
}

const words = (text, x, y, more = {}) => element("text", { x, y, "font-size": 13, fill: token("--n7"), ...more }, text);

// What a part of the page says, without what it says to readers alone.
function squeezed(node) {
  if (!node) return "";
  const copy = node.cloneNode(true);
  for (const spoken of copy.querySelectorAll(".spoken")) spoken.remove();
  return copy.textContent.replace(/\s+/g, " ").trim();
}

const figuresOf = (item) =>
  [...item.querySelectorAll(".figures > *")].map(squeezed).join("  ·  ") || squeezed(item.querySelector(".figures"));

function title(panel) {
  const organization = squeezed(document.querySelector(".organization"));
  const filters = [...document.querySelectorAll(".chip")].map((chip) => squeezed(chip).replace(/ ×$/, ""));
  const covered = squeezed(document.querySelector(".covered"));
  return [
    words(squeezed(panel.querySelector("h1, h2")), EDGE, EDGE + 8, {
      "font-size": 16,
      "font-weight": 600,
      fill: token("--n9"),
    }),
    words([organization, covered, ...filters].join(" · "), EDGE, EDGE + 30, { "font-size": 12 }),
  ];
}

function placed(chart) {
  const copy = chart.cloneNode(true);
  const size = { x: EDGE, y: TOP, width: chart.clientWidth, height: chart.clientHeight };
  for (const [name, value] of Object.entries(size)) copy.setAttribute(name, value);
  return copy;
}

function entry(item) {
  const dot = item.querySelector(".dot");
  return {
    colour: dot?.classList.contains("refused") ? token("--grey") : plain(getComputedStyle(dot).backgroundColor),
    name: squeezed(item.querySelector(".name") ?? item).slice(0, 60),
    figures: figuresOf(item),
  };
}

function line({ colour, name, figures }, x, y, right) {
  return [
    element("rect", { x, y: y - 9, width: 10, height: 10, rx: 3, fill: colour }),
    words(name, x + 18, y, { fill: token("--n9") }),
    words(figures, right, y, { "text-anchor": "end" }),
  ];
}

// One after the other, as many to a row as fit.
function inRows(picture, legend, width, top) {
  measuring.font = `13px ${getComputedStyle(document.body).fontFamily}`;
  let [x, y] = [EDGE, top + 16];
  for (const { colour, name, figures } of legend) {
    const label = figures ? `${name}: ${figures}` : name;
    const needed = 18 + measuring.measureText(label).width + EDGE;
    if (x > EDGE && x + needed > width) [x, y] = [EDGE, y + LINE];
    picture.append(
      element("rect", { x, y: y - 9, width: 10, height: 10, rx: 3, fill: colour }),
      words(label, x + 18, y, { fill: token("--n9") }),
    );
    x += needed;
  }
  return y;
}

function barsOf(panel, picture, width, top) {
  const rows = [...panel.querySelectorAll(".bars li")];
  rows.forEach((row, index) => {
    const y = top + 16 + index * 44;
    const share = row.querySelector("rect").getAttribute("width") / 100;
    const fill = plain(getComputedStyle(row.querySelector(".bar")).fill);
    picture.append(
      words(squeezed(row.querySelector(".name")).slice(0, 60), EDGE, y, { fill: token("--n9") }),
      words(figuresOf(row), width - EDGE, y, { "text-anchor": "end" }),
      element("rect", { x: EDGE, y: y + 8, width: (width - 2 * EDGE) * share, height: 10, fill }),
    );
  });
  return rows.length ? top + rows.length * 44 : top;
}

async function rastered(source, picture) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = picture.getAttribute("width") * SHARP;
  canvas.height = picture.getAttribute("height") * SHARP;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
