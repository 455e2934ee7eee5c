// Calls or credits over time, stacked by a dimension; refused calls on top.
import {
  formatNumber,
  formatShort,
  nameColour,
  pluralized,
  textBox,
  tokenColour,
  tooltipStyle,
  usageLines,
  usesPatterns,
} from "./drawing.js";

const HATCHED = {
  symbol: "rect",
  dashArrayX: [1, 0],
  dashArrayY: [2, 3],
  rotation: Math.PI / 4,
  color: "rgba(255,255,255,.75)",
};
const PLAIN = { symbol: "none" };
const MEASURE_INDEX = { calls: 0, credits: 1 };
const REFUSED_INDEX = 2;

export function time({ measure, steps, parts }) {
  const axis = { color: tokenColour("--n6"), fontSize: 12 };
  return {
    grid: { left: 4, right: 4, top: 12, bottom: 4, containLabel: true },
    tooltip: {
      ...tooltipStyle(),
      trigger: "axis",
      axisPointer: { type: "shadow", shadowStyle: { color: tokenColour("--n6"), opacity: 0.08 } },
      formatter: ([{ data }]) => textBox(...tooltipLines(data.step, parts, measure)),
    },
    xAxis: {
      type: "category",
      data: steps.map((step) => step.label),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: tokenColour("--n4") } },
      axisLabel: { ...axis, hideOverlap: true },
    },
    yAxis: {
      type: "value",
      minInterval: 1,
      splitNumber: 4,
      splitLine: { lineStyle: { color: tokenColour("--n3") } },
      axisLabel: {
        ...axis,
        formatter: (value) => (value ? `${formatShort(value)} ${pluralized(measure, value)}` : "0"),
      },
    },
    series: stackedSeries(measure, steps, parts),
  };
}

function tooltipLines(step, parts, measure) {
  return [
    step.long_label,
    ...usageLines(step.calls, step.credits),
    ...(step.refused ? [`${formatNumber(step.refused)} of them refused`] : []),
    ...parts
      .map((part, index) => [part.name, step.parts[index][MEASURE_INDEX[measure]]])
      .filter(([, value]) => value)
      .map(([name, value]) => `${name.slice(0, 60)}: ${formatNumber(value)}`),
  ];
}

function stackedSeries(measure, steps, parts) {
  const refused = (step) => (measure === "calls" ? step.refused : 0);
  const accepted = (index) => (step) =>
    step.parts[index][MEASURE_INDEX[measure]] - (measure === "calls" ? step.parts[index][REFUSED_INDEX] : 0);
  const series = parts.length
    ? parts.map((part, index) => barSeries(barStyle(nameColour(part.colour)), steps, accepted(index), part.name))
    : [barSeries(barStyle(tokenColour("--mark")), steps, (step) => step[measure] - refused(step))];
  // Refused calls stand on top of the others and are hatched, so that colour alone says nothing.
  return [...series, barSeries({ color: tokenColour("--grey"), decal: HATCHED }, steps, refused)];
}

const barStyle = (color) => (usesPatterns() ? { color } : { color, decal: PLAIN });

function barSeries(itemStyle, steps, height, name = "") {
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
