// Dragging over a part of the time chart makes that part the period. By keyboard, the range under Specific date does the same.
const MIN_DRAG = 6; // pixels; a pointer moves a little during a click

// `getSteps` returns those that are drawn, `navigate` opens a URL.
export function zoomByDragging(chart, getSteps, navigate) {
  const canvas = chart.getDom();
  const band = document.createElement("div");
  band.className = "zoom";
  band.hidden = true;
  canvas.append(band);
  let drag = null;

  const positionOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const stepAt = (x) => {
    const [index] = chart.convertFromPixel("grid", [x, 20]);
    return Math.min(getSteps().length - 1, Math.max(0, index));
  };

  canvas.addEventListener("pointerdown", (event) => {
    const [x, y] = positionOf(event);
    if (event.button || !chart.containPixel("grid", [x, y])) return;
    drag = { x, from: stepAt(x), to: stepAt(x), moved: false };
    addEventListener("pointermove", move);
    addEventListener("pointerup", finish);
    addEventListener("pointercancel", cancel);
    addEventListener("keydown", onKey);
  });

  function move(event) {
    const [x] = positionOf(event);
    drag.to = stepAt(x);
    drag.moved ||= Math.abs(x - drag.x) > MIN_DRAG;
    if (drag.moved) showSelection();
  }

  function showSelection() {
    const [first, last] = [drag.from, drag.to].sort((one, other) => one - other);
    const middle = (index) => chart.convertToPixel({ xAxisIndex: 0 }, index);
    const half = getSteps().length > 1 ? (middle(1) - middle(0)) / 2 : canvas.clientWidth / 2;
    band.style.left = `${middle(first) - half}px`;
    band.style.width = `${middle(last) - middle(first) + 2 * half}px`;
    band.hidden = false;
    chart.dispatchAction({ type: "hideTip" });
  }

  function finish() {
    const { from, to, moved } = drag;
    cancel();
    if (!moved) return;
    const [first, last] = [from, to].sort((one, other) => one - other).map((index) => getSteps()[index]);
    const url = new URL(location.href);
    url.hash = "";
    url.searchParams.set("period", first.first === last.last ? first.first : `${first.first}..${last.last}`);
    navigate(url.pathname + url.search);
  }

  function cancel() {
    drag = null;
    band.hidden = true;
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", finish);
    removeEventListener("pointercancel", cancel);
    removeEventListener("keydown", onKey);
  }

  function onKey(event) {
    if (event.key === "Escape") cancel();
  }
}
