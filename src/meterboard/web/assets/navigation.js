// Links and forms of a page's content change it in place. Without this file they do the same by loading the page.
import htmx from "htmx.org";

const WENT_BACK = "meterboard-back";
const scrollKey = (url) => `meterboard-scroll ${url}`;
let previous = null; // the page and the focused control before a request

// `onPage` runs for the page as it loaded and after each change of it.
export function startNavigation(onPage) {
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    detail.path = detail.path.split("#")[0]; // the anchor is for a page that loads; one that changes in place stays put
  });
  // Going back loads the page again, so that nothing old is shown; its scroll position is stored here.
  addEventListener("popstate", () => store(WENT_BACK, "yes"));
  if (takeStored(WENT_BACK)) restoreScroll(Number(takeStored(scrollKey(location.href))));
  document.addEventListener("htmx:beforeRequest", () => {
    store(scrollKey(location.href), scrollY);
    previous = { path: location.pathname, control: describeControl(document.activeElement) };
    document.getElementById("content")?.setAttribute("aria-busy", "true");
  });
  document.addEventListener("htmx:afterRequest", () =>
    document.getElementById("content")?.removeAttribute("aria-busy"),
  );
  document.addEventListener("htmx:afterSettle", () => {
    if (previous) restoreFocus();
    previous = null;
    onPage();
  });
  document.addEventListener("htmx:responseError", onResponseError);
  document.addEventListener("htmx:sendError", () => showFailure("The server does not respond. Try again in a moment."));
  document.addEventListener("meterboard:first-call", reload);
  document.addEventListener("meterboard:navigate", onNavigate);
  onPage();
}

function restoreScroll(top) {
  history.scrollRestoration = "manual";
  addEventListener("load", () => scrollTo(0, top));
  addEventListener("pagehide", () => {
    history.scrollRestoration = "auto";
  });
}

function store(name, value) {
  try {
    sessionStorage.setItem(name, value);
  } catch {
    // the browser allows no storage
  }
}

function takeStored(name) {
  try {
    const value = sessionStorage.getItem(name);
    sessionStorage.removeItem(name);
    return value;
  } catch {
    return null;
  }
}

// Another page starts at its top; the same page keeps its scroll position and the focused control.
function restoreFocus() {
  if (location.pathname !== previous.path) {
    scrollTo(0, 0);
    document.getElementById("content").focus({ preventScroll: true });
  } else if (previous.control && document.activeElement === document.body) {
    findControl(previous.control)?.focus({ preventScroll: true });
  }
}

const CONTROLS = "a, button, input, select, summary";
// A control whose text changes with what it does has a name in its data.
const controlName = (control) =>
  control.dataset.control || control.getAttribute("aria-label") || control.name || control.textContent.trim();

function describeControl(control) {
  const around = control?.matches(CONTROLS) && control.closest("[id]:not(main)");
  return around
    ? { id: around.id, tag: control.tagName, name: controlName(control), text: control.textContent.trim() }
    : null;
}

function findControl({ id, tag, name, text }) {
  const controls = [...(document.getElementById(id)?.querySelectorAll(CONTROLS) ?? [])];
  const sameTag = controls.filter((control) => control.tagName === tag);
  return (
    sameTag.find((control) => controlName(control) === name && control.textContent.trim() === text) ??
    sameTag.find((control) => controlName(control) === name) ??
    controls[0] ??
    document.getElementById("content")
  );
}

// A click on a mark of a graph is a click on a link.
function onNavigate(event) {
  event.preventDefault();
  const link = document.createElement("a");
  link.href = event.detail.url;
  link.hidden = true;
  document.getElementById("content").append(link);
  htmx.process(link);
  link.click();
}

function reload() {
  htmx.ajax("GET", location.pathname + location.search, {
    source: "#content",
    target: "#content",
    select: "#content",
    swap: "outerHTML show:none",
  });
}

function onResponseError({ detail }) {
  if (detail.xhr.status === 401) return location.reload(); // says how to sign in
  const page = new DOMParser().parseFromString(detail.xhr.responseText, "text/html");
  const message = page.querySelector("main [data-message]")?.textContent;
  showFailure(`The page could not be loaded. ${message ?? "Try again in a moment."}`);
}

function showFailure(message) {
  const element = document.getElementById("failure");
  if (!element) return;
  element.textContent = message;
  element.hidden = false;
}
