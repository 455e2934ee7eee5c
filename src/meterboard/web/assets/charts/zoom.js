// Dragging over a part of the time chart makes that part the period. The keyboard's way is the range under Specific date.
const LEAST = 6; // pixels; a hand that clicks moves a little

// `steps` gives those that are drawn, `go` follows an address.
export function zoomByDragging(chart, steps, go) {
  const canvas = chart.getDom();
  const band = document.createElement("div");
  band.className = "zoom";
  band.hidden = true;
  canvas.append(band);
  let drag = null;

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const stepAt = (x) => {
    const [index] = chart.convertFromPixel("grid", [x, 20]);
    return Math.min(steps().length - 1, Math.max(0, index));
  };

  canvas.addEventListener("pointerdown", (event) => {
    const [x, y] = place(event);
    if (event.button || !chart.containPixel("grid", [x, y])) return;
    drag = { x, from: stepAt(x), to: stepAt(x), moved: false };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", cancel);
    addEventListener("keydown", onKey);
  });

  function move(event) {
    const [x] = place(event);
    drag.to = stepAt(x);
    drag.moved ||= Math.abs(x - drag.x) > LEAST;
    if (drag.moved) show();
  }

  function show() {
    const [first, last] = [drag.from, drag.to].sort((one, other) => one - other);
    const middle = (index) => chart.convertToPixel({ xAxisIndex: 0 }, index);
    const half = steps().length > 1 ? (middle(1) - middle(0)) / 2 : canvas.clientWidth / 2;
    band.style.left = `${middle(first) - half}px`;
    band.style.width = `${middle(last) - middle(first) + 2 * half}px`;
    band.hidden = false;
    chart.dispatchAction({ type: "hideTip" });
  }

  function end() {
    const { from, to, moved } = drag;
    cancel();
    if (!moved) return;
    const [first, last] = [from, to].sort((one, other) => one - other).map((index) => steps()[index]);
    const address = new URL(location.href);
    address.hash = "";
    address.searchParams.set("period", first.first === last.last ? first.first : `${first.first}..${last.last}`);
    go(address.pathname + address.search);
  }

  function cancel() {
    drag = null;
    band.hidden = true;
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", end);
    removeEventListener("pointercancel", cancel);
    removeEventListener("keydown", onKey);
  }

  function onKey(event) {
    if (event.key === "Escape") cancel();
  }
}
