// Calls or credits over time, stacked by who or what they came from; refused calls on top.
import { colour, exact, figures, one, patterned, short, text, token, tooltip } from "./drawing.js";

const HATCHED = {
  symbol: "rect",
  dashArrayX: [1, 0],
  dashArrayY: [2, 3],
  rotation: Math.PI / 4,
  color: "rgba(255,255,255,.75)",
};
const PLAIN = { symbol: "none" };
const PLACE = { calls: 0, credits: 1 };
const REFUSED = 2;

export function time({ measure, steps, parts }) {
  const axis = { color: token("--n6"), fontSize: 12 };
  return {
    grid: { left: 4, right: 4, top: 12, bottom: 4, containLabel: true },
    tooltip: {
      ...tooltip(),
      trigger: "axis",
      axisPointer: { type: "shadow", shadowStyle: { color: token("--n6"), opacity: 0.08 } },
      formatter: ([{ data }]) => text(...said(data.step, parts, measure)),
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
    series: stacked(measure, steps, parts),
  };
}

function said(step, parts, measure) {
  return [
    step.long_label,
    ...figures(step.calls, step.credits),
    ...(step.refused ? [`${exact(step.refused)} of them refused`] : []),
    ...parts
      .map((part, index) => [part.name, step.parts[index][PLACE[measure]]])
      .filter(([, value]) => value)
      .map(([name, value]) => `${name.slice(0, 60)}: ${exact(value)}`),
  ];
}

function stacked(measure, steps, parts) {
  const refused = (step) => (measure === "calls" ? step.refused : 0);
  const of = (index) => (step) =>
    step.parts[index][PLACE[measure]] - (measure === "calls" ? step.parts[index][REFUSED] : 0);
  const made = parts.length
    ? parts.map((part, index) => bars(style(colour(part.colour)), steps, of(index), part.name))
    : [bars(style(token("--mark")), steps, (step) => step[measure] - refused(step))];
  // Refused calls stand on top of the others and are hatched, so that colour alone says nothing.
  return [...made, bars({ color: token("--grey"), decal: HATCHED }, steps, refused)];
}

const style = (color) => (patterned() ? { color } : { color, decal: PLAIN });

function bars(itemStyle, steps, height, name = "") {
  return {
    type: "bar",
    name,
    stack: "calls",
    barCategoryGap: "28%",
    barMaxWidth: 96,
    itemStyle,
    emphasis: { itemStyle: { opacity: 0.8 } },
    data: steps.map((step) => ({ value: height(step), step, url: step.url, cursor: step.url ? "pointer" : "default" })),
  };
}
