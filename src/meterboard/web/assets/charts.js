// The graphs. Each stands in the page as data; a click on a mark goes where its row in the list goes.

import { BarChart, PieChart, SankeyChart } from "echarts/charts";
import { AriaComponent, GridComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { doughnut } from "./charts/doughnut.js";
import { isPrinting, patterned, setPrinting, whenContrastChanges } from "./charts/drawing.js";
import { offerPictures } from "./charts/picture.js";
import { sankey } from "./charts/sankey.js";
import { time } from "./charts/time.js";
import { zoomByDragging } from "./charts/zoom.js";

use([BarChart, PieChart, SankeyChart, AriaComponent, GridComponent, TooltipComponent, SVGRenderer]);

const still = matchMedia("(prefers-reduced-motion: reduce)");
const drawings = { doughnut, time, sankey };
const drawn = new Map();

function draw(place) {
  const data = JSON.parse(place.querySelector("script").textContent);
  const chart = drawn.get(place) ?? open(place);
  const option = drawings[place.dataset.chart](data, place.clientWidth);
  const general = {
    animation: !still.matches && !isPrinting(),
    animationDuration: 120,
    animationDurationUpdate: 120,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    // The page says what the graph shows, and the list beside it says the same: the picture itself stays silent.
    aria: { enabled: true, label: { enabled: false }, decal: { show: patterned() } },
  };
  chart.setOption({ ...general, ...option }, { replaceMerge: ["series"] });
}

function open(place) {
  const canvas = document.createElement("div");
  canvas.className = "canvas";
  place.append(canvas);
  const chart = init(canvas, null, { renderer: "svg" });
  if (place.dataset.chart === "time") {
    leadFromColumns(chart);
    zoomByDragging(chart, () => chart.getOption().series[0].data.map(({ step }) => step), follow);
  } else chart.on("click", ({ data: mark }) => follow(mark?.url));
  // What has left the page, or is not shown, has no size: there is nothing to draw.
  new ResizeObserver(() => canvas.clientWidth && chart.resize({ silent: true })).observe(canvas);
  drawn.set(place, chart);
  return chart;
}

// The whole column of a step is its door, so that a low bar is as easy to hit as a high one.
function leadFromColumns(chart) {
  const urlAt = ({ offsetX, offsetY }) => {
    if (!chart.containPixel("grid", [offsetX, offsetY])) return "";
    const [index] = chart.convertFromPixel("grid", [offsetX, offsetY]);
    return chart.getOption().series[0].data[index]?.url ?? "";
  };
  chart.getZr().on("click", (event) => follow(urlAt(event)));
  chart.getZr().on("mousemove", (event) => chart.getZr().setCursorStyle(urlAt(event) ? "pointer" : "default"));
}

// A click on a mark is a click on a link, so that it changes the page in place as links do.
function follow(url) {
  if (!url) return;
  const link = document.createElement("a");
  link.href = url;
  link.hidden = true;
  document.getElementById("content").append(link);
  window.htmx?.process(link);
  link.click();
}

function drawAll() {
  for (const [place, chart] of drawn) {
    if (place.isConnected) continue;
    chart.dispose();
    drawn.delete(place);
  }
  for (const place of document.querySelectorAll("[data-chart]")) draw(place);
  offerPictures();
}

function print(on) {
  setPrinting(on);
  document.documentElement.classList.toggle("printing", on); // light colours, whatever the screen has
  drawAll();
  // Paper has another width than the screen: the drawing scales to it.
  for (const chart of drawn.values()) {
    chart.getDom().querySelector("svg").setAttribute("viewBox", `0 0 ${chart.getWidth()} ${chart.getHeight()}`);
  }
}

document.addEventListener("htmx:afterSettle", drawAll);
document.addEventListener("meterboard:theme", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
whenContrastChanges(drawAll);
addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
drawAll();
