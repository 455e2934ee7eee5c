// What the graphs share: colours from the page's tokens, numbers as people read them, the box beside the pointer.
const contrast = matchMedia("(prefers-contrast: more), (forced-colors: active)");
let printing = false;

// Whoever asks for contrast, or prints, gets patterns beside colours.
export const patterned = () => printing || contrast.matches;
export const isPrinting = () => printing;
export function setPrinting(on) {
  printing = on;
}
export function whenContrastChanges(then) {
  contrast.addEventListener("change", then);
}

export const exact = (value) => value.toLocaleString("en-US");
export const one = (unit, value) => (value === 1 ? unit.replace(/s$/, "") : unit);
export const short = (value) =>
  value >= 1e6 ? `${+(value / 1e6).toFixed(1)} M` : value >= 1e3 ? `${+(value / 1e3).toFixed(1)} k` : `${value}`;

// The graphs' library reads no OKLCH, so the browser's own canvas turns the tokens into what it reads.
const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
export function token(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = plain(getComputedStyle(probe).color);
  probe.remove();
  return colour;
}

// A colour as every program reads it.
export function plain(colour) {
  pixel.fillStyle = colour;
  pixel.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pixel.getImageData(0, 0, 1, 1).data;
  return `rgb(${red},${green},${blue})`;
}

export const figures = (calls, credits) => [
  `${exact(calls)} ${one("calls", calls)}`,
  `${exact(credits)} ${one("credits", credits)}`,
];

export function text(...lines) {
  const box = document.createElement("div");
  for (const line of lines) {
    const row = document.createElement("div");
    row.textContent = line;
    box.append(row);
  }
  return box;
}

export function tooltip() {
  return {
    backgroundColor: token("--n0"),
    borderColor: token("--n4"),
    textStyle: { color: token("--n9"), fontSize: 13, fontWeight: 400 },
    extraCssText: "box-shadow:none",
    confine: true,
    transitionDuration: 0,
  };
}

// A name's own colour; grey for what has none.
export const colour = (number) => token(number ? `--c${number}` : "--grey");
