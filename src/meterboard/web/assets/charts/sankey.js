// How names are connected: a column of nodes for each column chosen, and between them what they have in common.
import { colour, exact, figures, text, token, tooltip } from "./drawing.js";

const NARROW = 640;
const shortened = (name, longest) => (name.length > longest ? `${name.slice(0, longest - 1)}…` : name);

export function sankey({ measure, columns, links }, width) {
  const wide = width > NARROW;
  const last = columns.length - 1;
  const nodes = columns.flatMap((column, depth) =>
    column.nodes.map((node, place) => ({
      name: `${depth}/${place}`, // the same value may stand in two columns
      depth,
      of: node,
      url: node.url,
      cursor: "pointer",
      itemStyle: { color: colour(node.colour), borderWidth: 0 },
      label: { position: depth === last ? "left" : "right" },
    })),
  );
  const named = Object.fromEntries(nodes.map((node) => [node.name, node.of.name]));
  return {
    animation: false, // it would uncover the picture from left to right, and leave its edge covered for a while
    tooltip: {
      ...tooltip(),
      trigger: "item",
      formatter: ({ dataType, data }) =>
        dataType === "node"
          ? text(data.of.name, ...figures(data.of.calls, data.of.credits))
          : text(`${named[data.source]} → ${named[data.target]}`, ...figures(data.calls, data.credits)),
    },
    series: [
      {
        type: "sankey",
        left: 0,
        right: 0,
        top: 8,
        bottom: 8,
        nodeWidth: 12,
        nodeGap: 14,
        nodeAlign: "justify",
        draggable: false,
        layoutIterations: 32,
        emphasis: { focus: "adjacency" },
        lineStyle: { color: "source", opacity: 0.28, curveness: 0.5 },
        label: {
          color: token("--n9"),
          fontSize: wide ? 12 : 11,
          formatter: ({ data }) =>
            wide ? `${shortened(data.of.name, 28)}  ${exact(data.of[measure])}` : shortened(data.of.name, 13),
          textBorderColor: token("--n0"),
          textBorderWidth: 3,
        },
        data: nodes,
        links: links.map((link) => ({
          source: `${link.depth}/${link.source}`,
          target: `${link.depth + 1}/${link.target}`,
          value: link[measure],
          calls: link.calls,
          credits: link.credits,
          url: link.url,
          cursor: "pointer",
        })),
      },
    ],
  };
}
