// How names are connected: a column of nodes for each column chosen, and between them what they have in common.
import { formatNumber, nameColour, textBox, tokenColour, tooltipStyle, usageLines } from "./drawing.js";

const NARROW = 640; // pixels
const truncated = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

export function sankey({ measure, columns, links }, width) {
  const wide = width > NARROW;
  const last = columns.length - 1;
  const nodes = columns.flatMap((column, depth) =>
    column.nodes.map((node, index) => ({
      name: `${depth}/${index}`, // the same value may stand in two columns
      depth,
      node,
      url: node.url,
      cursor: "pointer",
      itemStyle: { color: nameColour(node.colour), borderWidth: 0 },
      label: { position: depth === last ? "left" : "right" },
    })),
  );
  const names = Object.fromEntries(nodes.map(({ name, node }) => [name, node.name]));
  return {
    animation: false, // it would uncover the picture from left to right, and leave its edge covered for a while
    tooltip: {
      ...tooltipStyle(),
      trigger: "item",
      formatter: ({ dataType, data }) =>
        dataType === "node"
          ? textBox(data.node.name, ...usageLines(data.node.calls, data.node.credits))
          : textBox(`${names[data.source]} → ${names[data.target]}`, ...usageLines(data.calls, data.credits)),
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
          color: tokenColour("--n9"),
          fontSize: wide ? 12 : 11,
          formatter: ({ data }) =>
            wide
              ? `${truncated(data.node.name, 28)}  ${formatNumber(data.node[measure])}`
              : truncated(data.node.name, 13),
          textBorderColor: tokenColour("--n0"),
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
