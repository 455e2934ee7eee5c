// What every page needs: changing in place, the theme, small comforts of the forms, the live counter.
import htmx from "htmx.org";
import { keepCounting } from "./live.js";

window.htmx = htmx;
const root = document.documentElement;
root.classList.add("script");

const THEME = "meterboard-theme";
const darkByDefault = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : darkByDefault.matches);

function showTheme() {
  const button = document.querySelector("[data-theme-switch]");
  if (!button) return;
  button.hidden = false;
  button.textContent = isDark() ? "Light" : "Dark";
  button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
}

function remembered() {
  try {
    return localStorage.getItem(THEME);
  } catch {
    return null; // a browser may keep its storage to itself
  }
}

if (remembered()) root.dataset.theme = remembered();
darkByDefault.addEventListener("change", showTheme);

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-switch]")) {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem(THEME, root.dataset.theme);
    } catch {
      // not remembered, then
    }
    showTheme();
    document.dispatchEvent(new Event("meterboard:theme"));
  }
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    navigator.clipboard?.writeText(document.getElementById(copy.dataset.copy).innerText).then(() => {
      copy.textContent = "Copied";
    });
  }
  for (const open of document.querySelectorAll("details.popover[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.popover[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]") && event.target.value) event.target.form.requestSubmit();
  if (event.target.matches("[data-filter-dimension]")) {
    event.target.form.querySelector("[data-filter-value]").name = event.target.value;
  }
});

function comfort() {
  showTheme();
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
  keepCounting();
}

function failed(message) {
  const place = document.getElementById("failure");
  if (!place) return;
  place.textContent = message;
  place.hidden = false;
}

document.addEventListener("htmx:responseError", (event) => {
  const answer = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
  const said = answer.querySelector("main p:not(.brand)")?.textContent;
  failed(`This could not be shown. ${said ?? "Try again in a moment."}`);
});
document.addEventListener("htmx:sendError", () => failed("The server does not answer. Try again in a moment."));
document.addEventListener("htmx:afterSettle", comfort);
comfort();
