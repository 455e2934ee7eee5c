// The doughnut of who called.
import { colour, figures, one, short, text, token, tooltip } from "./drawing.js";

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

export function doughnut({ total, rows }) {
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
          itemStyle: { color: colour(row.colour) },
        })),
      },
    ],
  };
}
