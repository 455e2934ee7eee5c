// The graphs. Each stands in the page as data; a click on a mark goes where its row in the list goes.
import { use, init } from "echarts/core";
import { BarChart, PieChart } from "echarts/charts";
import { AriaComponent, GridComponent, TooltipComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";

use([BarChart, PieChart, AriaComponent, GridComponent, TooltipComponent, SVGRenderer]);

const still = matchMedia("(prefers-reduced-motion: reduce)");
// Whoever asks for contrast, or prints, gets patterns beside colours.
const contrast = matchMedia("(prefers-contrast: more), (forced-colors: active)");
let printing = false;
const patterned = () => printing || contrast.matches;

const exact = (value) => value.toLocaleString("en-US");
const one = (unit, value) => (value === 1 ? unit.replace(/s$/, "") : unit);
const short = (value) =>
  value >= 1e6 ? `${+(value / 1e6).toFixed(1)} M` : value >= 1e3 ? `${+(value / 1e3).toFixed(1)} k` : `${value}`;

// The graphs' library reads no OKLCH, so the browser's own canvas turns the tokens into what it reads.
const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function token(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  pixel.fillStyle = getComputedStyle(probe).color;
  probe.remove();
  pixel.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pixel.getImageData(0, 0, 1, 1).data;
  return `rgb(${red},${green},${blue})`;
}

const figures = (calls, credits) => [
  `${exact(calls)} ${one("calls", calls)}`,
  `${exact(credits)} ${one("credits", credits)}`,
];

function text(...lines) {
  const box = document.createElement("div");
  for (const line of lines) {
    const row = document.createElement("div");
    row.textContent = line;
    box.append(row);
  }
  return box;
}

function tooltip() {
  return {
    backgroundColor: token("--n0"),
    borderColor: token("--n4"),
    textStyle: { color: token("--n9"), fontSize: 13, fontWeight: 400 },
    extraCssText: "box-shadow:none",
    confine: true,
    transitionDuration: 0,
  };
}

// The total, in the middle. One slice carries it, or it would be drawn once for each.
function middle(total) {
  return {
    show: true,
    position: "center",
    silent: true,
    formatter: `{total|${short(total)}}\n{unit|${one("calls", total)}}`,
    rich: {
      total: { fontSize: 20, fontWeight: 600, color: token("--n9"), lineHeight: 26 },
      unit: { fontSize: 12, color: token("--n6") },
    },
  };
}

function doughnut({ total, rows }) {
  return {
    tooltip: {
      ...tooltip(),
      trigger: "item",
      formatter: ({ data }) => text(data.name, ...figures(data.value, data.credits)),
    },
    series: [
      {
        type: "pie",
        radius: ["64%", "96%"],
        startAngle: 90,
        minAngle: 2,
        label: { show: false },
        emphasis: { scale: false, itemStyle: { opacity: 0.85 } },
        itemStyle: { borderColor: token("--n0"), borderWidth: 1.5 },
        data: rows.map((row, index) => ({
          name: row.name,
          value: row.calls,
          credits: row.credits,
          url: row.url,
          cursor: "pointer",
          label: index ? { show: false } : middle(total),
          itemStyle: { color: token(row.colour ? `--c${row.colour}` : "--grey") },
        })),
      },
    ],
  };
}

function time({ measure, steps }) {
  const axis = { color: token("--n6"), fontSize: 12 };
  const refused = (step) => (measure === "calls" ? step.refused : 0);
  return {
    grid: { left: 4, right: 4, top: 12, bottom: 4, containLabel: true },
    tooltip: {
      ...tooltip(),
      trigger: "axis",
      axisPointer: { type: "shadow", shadowStyle: { color: token("--n6"), opacity: 0.08 } },
      formatter: ([{ data: { step } }]) =>
        text(
          step.long_label,
          ...figures(step.calls, step.credits),
          ...(step.refused ? [`${exact(step.refused)} of them refused`] : []),
        ),
    },
    xAxis: {
      type: "category",
      data: steps.map((step) => step.label),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: token("--n4") } },
      axisLabel: { ...axis, hideOverlap: true },
    },
    yAxis: {
      type: "value",
      minInterval: 1,
      splitNumber: 4,
      splitLine: { lineStyle: { color: token("--n3") } },
      axisLabel: { ...axis, formatter: (value) => (value ? `${short(value)} ${one(measure, value)}` : "0") },
    },
    series: [
      bars({ color: token("--mark"), decal: { symbol: "none" } }, steps, (step) => step[measure] - refused(step)),
      // Refused calls stand on top of the others and are hatched, so that colour alone says nothing.
      bars({ color: token("--grey"), decal: HATCHED }, steps, refused),
    ],
  };
}

const HATCHED = { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [2, 3], rotation: Math.PI / 4, color: "rgba(255,255,255,.75)" };

function bars(style, steps, height) {
  return {
    type: "bar",
    stack: "calls",
    barCategoryGap: "28%",
    itemStyle: style,
    emphasis: { itemStyle: { color: token("--accent") } },
    data: steps.map((step) => ({ value: height(step), step, url: step.url, cursor: step.url ? "pointer" : "default" })),
  };
}

const drawings = { doughnut, time };
const drawn = new Map();

function draw(place) {
  const data = JSON.parse(place.querySelector("script").textContent);
  const chart = drawn.get(place) ?? open(place);
  const option = drawings[place.dataset.chart](data);
  chart.setOption({
    animation: !still.matches && !printing,
    animationDuration: 120,
    animationDurationUpdate: 120,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    // The page says what the graph shows, and the list beside it says the same: the picture itself stays silent.
    aria: { enabled: true, label: { enabled: false }, decal: { show: patterned() } },
    ...option,
  });
}

function open(place) {
  const canvas = document.createElement("div");
  canvas.className = "canvas";
  place.append(canvas);
  const chart = init(canvas, null, { renderer: "svg" });
  if (place.dataset.chart === "time") leadFromColumns(chart);
  else chart.on("click", ({ data: mark }) => follow(mark?.url));
  new ResizeObserver(() => chart.resize({ silent: true })).observe(canvas);
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
}

function print(on) {
  printing = on;
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
contrast.addEventListener("change", drawAll);
addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
drawAll();
