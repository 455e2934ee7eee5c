// Links and forms of a page's content change it in place. Without this file they do the same by loading the page.
import htmx from "htmx.org";

window.htmx = htmx;
let before = null;

const BACK = "meterboard-back";
const placeIn = (address) => `meterboard-scroll ${address}`;

// `then` runs for the page as it came and after each change of it.
export function changeInPlace(then) {
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    detail.path = detail.path.split("#")[0]; // the anchor is for a page that loads; one that changes in place stays put
  });
  // Going back loads the page anew, so that nothing old is shown; the place on it is kept here.
  addEventListener("popstate", () => remember(BACK, "yes"));
  if (forget(BACK)) goBackTo(Number(forget(placeIn(location.href))));
  document.addEventListener("htmx:beforeRequest", () => {
    remember(placeIn(location.href), scrollY);
    before = { path: location.pathname, place: placeOf(document.activeElement) };
    document.getElementById("content")?.setAttribute("aria-busy", "true");
  });
  document.addEventListener("htmx:afterRequest", () =>
    document.getElementById("content")?.removeAttribute("aria-busy"),
  );
  document.addEventListener("htmx:afterSettle", () => {
    if (before) goOn();
    before = null;
    then();
  });
  document.addEventListener("htmx:responseError", onRefusal);
  document.addEventListener("htmx:sendError", () => failed("The server does not answer. Try again in a moment."));
  document.addEventListener("meterboard:first-call", () => showAgain());
  then();
}

function goBackTo(place) {
  history.scrollRestoration = "manual";
  addEventListener("load", () => scrollTo(0, place));
  addEventListener("pagehide", () => (history.scrollRestoration = "auto"));
}

function remember(name, value) {
  try {
    sessionStorage.setItem(name, value);
  } catch {
    // a browser may keep its storage to itself
  }
}

function forget(name) {
  try {
    const value = sessionStorage.getItem(name);
    sessionStorage.removeItem(name);
    return value;
  } catch {
    return null;
  }
}

// Another page starts at its top; the same page keeps its place on the screen and the keyboard's place in it.
function goOn() {
  if (location.pathname !== before.path) {
    scrollTo(0, 0);
    document.getElementById("content").focus({ preventScroll: true });
  } else if (before.place && document.activeElement === document.body) {
    counterpart(before.place)?.focus({ preventScroll: true });
  }
}

const CONTROLS = "a, button, input, select, summary";
// A control whose words change with what it does has a name for this.
const nameOf = (control) =>
  control.dataset.control || control.getAttribute("aria-label") || control.name || control.textContent.trim();

function placeOf(control) {
  const around = control?.matches(CONTROLS) && control.closest("[id]:not(main)");
  return around
    ? { id: around.id, tag: control.tagName, name: nameOf(control), text: control.textContent.trim() }
    : null;
}

function counterpart({ id, tag, name, text }) {
  const within = [...(document.getElementById(id)?.querySelectorAll(CONTROLS) ?? [])];
  const same = within.filter((control) => control.tagName === tag);
  return (
    same.find((control) => nameOf(control) === name && control.textContent.trim() === text) ??
    same.find((control) => nameOf(control) === name) ??
    within[0] ??
    document.getElementById("content")
  );
}

function showAgain() {
  htmx.ajax("GET", location.pathname + location.search, {
    source: "#content",
    target: "#content",
    select: "#content",
    swap: "outerHTML show:none",
  });
}

function onRefusal({ detail }) {
  if (detail.xhr.status === 401) return location.reload(); // says how to sign in
  const answer = new DOMParser().parseFromString(detail.xhr.responseText, "text/html");
  const said = answer.querySelector("main [data-message]")?.textContent;
  failed(`This could not be shown. ${said ?? "Try again in a moment."}`);
}

function failed(message) {
  const place = document.getElementById("failure");
  if (!place) return;
  place.textContent = message;
  place.hidden = false;
}
