// The doughnut of applications and functions.
import { formatShort, nameColour, pluralized, textBox, tokenColour, tooltipStyle, usageLines } from "./drawing.js";

// The total, in the middle. One slice carries it, or it would be drawn once for each.
function totalLabel(total) {
  return {
    show: true,
    position: "center",
    silent: true,
    formatter: `{total|${formatShort(total)}}\n{unit|${pluralized("calls", total)}}`,
    rich: {
      total: { fontSize: 20, fontWeight: 600, color: tokenColour("--n9"), lineHeight: 26 },
      unit: { fontSize: 12, color: tokenColour("--n6") },
    },
  };
}

export function doughnut({ total, rows }) {
  return {
    tooltip: {
      ...tooltipStyle(),
      trigger: "item",
      formatter: ({ data }) => textBox(data.name, ...usageLines(data.value, data.credits)),
    },
    series: [
      {
        type: "pie",
        radius: ["64%", "96%"],
        startAngle: 90,
        minAngle: 2,
        label: { show: false },
        emphasis: { scale: false, itemStyle: { opacity: 0.85 } },
        itemStyle: { borderColor: tokenColour("--n0"), borderWidth: 1.5 },
        data: rows.map((row, index) => ({
          name: row.name,
          value: row.calls,
          credits: row.credits,
          url: row.url,
          cursor: "pointer",
          label: index ? { show: false } : totalLabel(total),
          itemStyle: { color: nameColour(row.colour) },
        })),
      },
    ],
  };
}
