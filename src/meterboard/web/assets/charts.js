// The graphs. Each stands in the page as data; a click on a mark goes where its row in the list goes.

import { BarChart, PieChart, SankeyChart } from "echarts/charts";
import { AriaComponent, GridComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { doughnut } from "./charts/doughnut.js";
import { isPrinting, onContrastChange, setPrinting, usesPatterns } from "./charts/drawing.js";
import { showImageButtons } from "./charts/export-image.js";
import { sankey } from "./charts/sankey.js";
import { time } from "./charts/time.js";
import { zoomByDragging } from "./charts/zoom.js";

use([BarChart, PieChart, SankeyChart, AriaComponent, GridComponent, TooltipComponent, SVGRenderer]);

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const optionsOf = { doughnut, time, sankey };
const charts = new Map(); // element -> chart

function render(element) {
  const data = JSON.parse(element.querySelector("script").textContent);
  const chart = charts.get(element) ?? create(element);
  const options = optionsOf[element.dataset.chart](data, element.clientWidth);
  const common = {
    animation: !reducedMotion.matches && !isPrinting(),
    animationDuration: 120,
    animationDurationUpdate: 120,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    // The page says what the graph shows, and the list beside it says the same: the picture itself stays silent.
    aria: { enabled: true, label: { enabled: false }, decal: { show: usesPatterns() } },
  };
  chart.setOption({ ...common, ...options }, { replaceMerge: ["series"] });
}

function create(element) {
  const canvas = document.createElement("div");
  canvas.className = "canvas";
  element.append(canvas);
  const chart = init(canvas, null, { renderer: "svg" });
  if (element.dataset.chart === "time") {
    linkColumns(chart);
    zoomByDragging(chart, () => chart.getOption().series[0].data.map(({ step }) => step), navigate);
  } else chart.on("click", ({ data: mark }) => navigate(mark?.url));
  // What has left the page, or is not shown, has no size: there is nothing to draw.
  new ResizeObserver(() => canvas.clientWidth && chart.resize({ silent: true })).observe(canvas);
  charts.set(element, chart);
  return chart;
}

// The whole column of a step is its link, so that a low bar is as easy to hit as a high one.
function linkColumns(chart) {
  const urlAt = ({ offsetX, offsetY }) => {
    if (!chart.containPixel("grid", [offsetX, offsetY])) return "";
    const [index] = chart.convertFromPixel("grid", [offsetX, offsetY]);
    return chart.getOption().series[0].data[index]?.url ?? "";
  };
  chart.getZr().on("click", (event) => navigate(urlAt(event)));
  chart.getZr().on("mousemove", (event) => chart.getZr().setCursorStyle(urlAt(event) ? "pointer" : "default"));
}

// navigation.js changes the page in place; without it, the page loads.
function navigate(url) {
  if (!url) return;
  const event = new CustomEvent("meterboard:navigate", { detail: { url }, cancelable: true });
  if (document.dispatchEvent(event)) location.assign(url);
}

function renderAll() {
  for (const [element, chart] of charts) {
    if (element.isConnected) continue;
    chart.dispose();
    charts.delete(element);
  }
  for (const element of document.querySelectorAll("[data-chart]")) render(element);
  showImageButtons();
}

function renderForPrint(on) {
  setPrinting(on);
  document.documentElement.classList.toggle("printing", on); // light colours, whatever the screen has
  renderAll();
  // Paper has another width than the screen: the drawing scales to it.
  for (const chart of charts.values()) {
    chart.getDom().querySelector("svg").setAttribute("viewBox", `0 0 ${chart.getWidth()} ${chart.getHeight()}`);
  }
}

document.addEventListener("htmx:afterSettle", renderAll);
document.addEventListener("meterboard:theme", renderAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", renderAll);
onContrastChange(renderAll);
addEventListener("beforeprint", () => renderForPrint(true));
addEventListener("afterprint", () => renderForPrint(false));
renderAll();
