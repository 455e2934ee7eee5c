// Exports a graph as SVG or PNG, with its title, its legend and the colours that the page has now.
import { tokenColour, toRgb } from "./drawing.js";

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = 24;
const HEADER_HEIGHT = 72;
const LINE_HEIGHT = 24;
const PIXEL_RATIO = 2; // pixels of a PNG for each of the page
const textMetrics = document.createElement("canvas").getContext("2d");

// Shows the buttons of the panels that have a graph.
export function showImageButtons() {
  for (const item of document.querySelectorAll("[data-with-script]")) {
    item.hidden = !item.closest(".panel").querySelector(".chart, .bars");
  }
}

document.addEventListener("click", ({ target }) => {
  const format = target.closest("[data-export-image]")?.dataset.exportImage;
  if (!format) return;
  const panel = target.closest(".panel");
  const image = createImage(panel);
  const name = `meterboard-${panel.id}.${format}`;
  const source = new XMLSerializer().serializeToString(image);
  if (format === "svg") download(new Blob([source], { type: "image/svg+xml" }), name);
  else toPng(source, image).then((blob) => download(blob, name));
});

function createImage(panel) {
  const chart = panel.querySelector(".chart svg");
  const legend = [...panel.querySelectorAll(".legend li, .stack-legend li")].map(legendEntry);
  const width = Math.max(panel.querySelector(".doughnut") ? 800 : 640, (chart?.clientWidth ?? 0) + 2 * MARGIN);
  const image = svgElement("svg", { xmlns: SVG, width, "font-family": getComputedStyle(document.body).fontFamily });
  image.append(svgElement("rect", { width: "100%", height: "100%", fill: tokenColour("--n0") }));
  image.append(...titleLines(panel));
  let bottom = HEADER_HEIGHT;
  if (chart) {
    image.append(placedChart(chart));
    bottom += chart.clientHeight + MARGIN / 2;
  }
  if (panel.querySelector(".doughnut")) {
    const left = chart.clientWidth + 2 * MARGIN;
    image.append(
      ...legend.flatMap((row, index) => legendLine(row, left, HEADER_HEIGHT + 16 + index * 32, width - MARGIN)),
    );
    bottom = Math.max(bottom, HEADER_HEIGHT + legend.length * 32);
  } else if (legend.length) bottom = addLegend(image, legend, width, bottom + 8);
  bottom = addBars(panel, image, width, bottom);
  image.setAttribute("height", bottom + MARGIN);
  image.setAttribute("viewBox", `0 0 ${width} ${bottom + MARGIN}`);
  return image;
}

function svgElement(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const svgText = (text, x, y, more = {}) =>
  svgElement("text", { x, y, "font-size": 13, fill: tokenColour("--n7"), ...more }, text);

// The text of an element without what only screen readers read.
function visibleText(element) {
  if (!element) return "";
  const copy = element.cloneNode(true);
  for (const spoken of copy.querySelectorAll(".spoken")) spoken.remove();
  return copy.textContent.replace(/\s+/g, " ").trim();
}

const figuresOf = (item) =>
  [...item.querySelectorAll(".figures > *")].map(visibleText).join("  ·  ") ||
  visibleText(item.querySelector(".figures"));

function titleLines(panel) {
  const organization = visibleText(document.querySelector(".organization"));
  const filters = [...document.querySelectorAll(".chip")].map((chip) => visibleText(chip).replace(/ ×$/, ""));
  const covered = visibleText(document.querySelector(".covered"));
  return [
    svgText(visibleText(panel.querySelector("h1, h2")), MARGIN, MARGIN + 8, {
      "font-size": 16,
      "font-weight": 600,
      fill: tokenColour("--n9"),
    }),
    svgText([organization, covered, ...filters].join(" · "), MARGIN, MARGIN + 30, { "font-size": 12 }),
  ];
}

function placedChart(chart) {
  const copy = chart.cloneNode(true);
  const size = { x: MARGIN, y: HEADER_HEIGHT, width: chart.clientWidth, height: chart.clientHeight };
  for (const [name, value] of Object.entries(size)) copy.setAttribute(name, value);
  return copy;
}

function legendEntry(item) {
  const dot = item.querySelector(".dot");
  return {
    colour: dot?.classList.contains("refused") ? tokenColour("--grey") : toRgb(getComputedStyle(dot).backgroundColor),
    name: visibleText(item.querySelector(".name") ?? item).slice(0, 60),
    figures: figuresOf(item),
  };
}

function legendLine({ colour, name, figures }, x, y, right) {
  return [
    svgElement("rect", { x, y: y - 9, width: 10, height: 10, rx: 3, fill: colour }),
    svgText(name, x + 18, y, { fill: tokenColour("--n9") }),
    svgText(figures, right, y, { "text-anchor": "end" }),
  ];
}

// Adds the legend in rows of as many entries as fit, and returns where it ends.
function addLegend(image, legend, width, top) {
  textMetrics.font = `13px ${getComputedStyle(document.body).fontFamily}`;
  let [x, y] = [MARGIN, top + 16];
  for (const { colour, name, figures } of legend) {
    const label = figures ? `${name}: ${figures}` : name;
    const needed = 18 + textMetrics.measureText(label).width + MARGIN;
    if (x > MARGIN && x + needed > width) [x, y] = [MARGIN, y + LINE_HEIGHT];
    image.append(
      svgElement("rect", { x, y: y - 9, width: 10, height: 10, rx: 3, fill: colour }),
      svgText(label, x + 18, y, { fill: tokenColour("--n9") }),
    );
    x += needed;
  }
  return y;
}

function addBars(panel, image, width, top) {
  const rows = [...panel.querySelectorAll(".bars li")];
  rows.forEach((row, index) => {
    const y = top + 16 + index * 44;
    const share = row.querySelector("rect").getAttribute("width") / 100;
    const fill = toRgb(getComputedStyle(row.querySelector(".bar")).fill);
    image.append(
      svgText(visibleText(row.querySelector(".name")).slice(0, 60), MARGIN, y, { fill: tokenColour("--n9") }),
      svgText(figuresOf(row), width - MARGIN, y, { "text-anchor": "end" }),
      svgElement("rect", { x: MARGIN, y: y + 8, width: (width - 2 * MARGIN) * share, height: 10, fill }),
    );
  });
  return rows.length ? top + rows.length * 44 : top;
}

async function toPng(source, svg) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = svg.getAttribute("width") * PIXEL_RATIO;
  canvas.height = svg.getAttribute("height") * PIXEL_RATIO;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
