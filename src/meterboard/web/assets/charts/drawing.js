// What the graphs share: colours from the page's tokens, formatted numbers, the box beside the pointer.
const contrast = matchMedia("(prefers-contrast: more), (forced-colors: active)");
let printing = false;

// On paper, and for people who ask for contrast, patterns stand beside colours.
export const usesPatterns = () => printing || contrast.matches;
export const isPrinting = () => printing;
export function setPrinting(on) {
  printing = on;
}
export function onContrastChange(listener) {
  contrast.addEventListener("change", listener);
}

export const formatNumber = (value) => value.toLocaleString("en-US");
export const pluralized = (unit, value) => (value === 1 ? unit.replace(/s$/, "") : unit);
export const formatShort = (value) =>
  value >= 1e6 ? `${+(value / 1e6).toFixed(1)} M` : value >= 1e3 ? `${+(value / 1e3).toFixed(1)} k` : `${value}`;

// ECharts reads no OKLCH, so the browser's own canvas converts the tokens.
const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
export function tokenColour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = toRgb(getComputedStyle(probe).color);
  probe.remove();
  return colour;
}

export function toRgb(colour) {
  pixel.fillStyle = colour;
  pixel.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pixel.getImageData(0, 0, 1, 1).data;
  return `rgb(${red},${green},${blue})`;
}

export const usageLines = (calls, credits) => [
  `${formatNumber(calls)} ${pluralized("calls", calls)}`,
  `${formatNumber(credits)} ${pluralized("credits", credits)}`,
];

export function textBox(...lines) {
  const box = document.createElement("div");
  for (const line of lines) {
    const row = document.createElement("div");
    row.textContent = line;
    box.append(row);
  }
  return box;
}

export function tooltipStyle() {
  return {
    backgroundColor: tokenColour("--n0"),
    borderColor: tokenColour("--n4"),
    textStyle: { color: tokenColour("--n9"), fontSize: 13, fontWeight: 400 },
    extraCssText: "box-shadow:none",
    confine: true,
    transitionDuration: 0,
  };
}

// The colour of a name by its number; grey for 0.
export const nameColour = (number) => tokenColour(number ? `--c${number}` : "--grey");
