// What every page needs: navigation, the theme, forms that submit themselves, dialogs, the live counter.
import { refreshLiveCounter } from "./live-counter.js";
import { startNavigation } from "./navigation.js";
import { refreshRelatedValues } from "./related-values.js";
import "./sorting.js";

const root = document.documentElement;
const THEME = "meterboard-theme"; // theme.js reads it before the first paint
const darkByDefault = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : darkByDefault.matches);

function showTheme() {
  const button = document.querySelector("[data-theme-switch]");
  if (!button) return;
  button.hidden = false;
  button.textContent = isDark() ? "Light" : "Dark";
  button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
}

function switchTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  try {
    localStorage.setItem(THEME, root.dataset.theme);
  } catch {
    // the browser allows no storage
  }
  showTheme();
  document.dispatchEvent(new Event("meterboard:theme"));
}

function copy(button, text, failure) {
  navigator.clipboard.writeText(text).then(
    () => (button.textContent = "Copied"),
    () => (button.textContent = failure),
  );
}

function closePopovers(except) {
  for (const open of document.querySelectorAll("details.popover[open]")) {
    if (!open.contains(except)) open.open = false;
  }
}

document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-theme-switch]")) switchTheme();
  const copying = target.closest("[data-copy]");
  if (copying) copy(copying, document.getElementById(copying.dataset.copy).textContent, "Select it and copy");
  const linking = target.closest("[data-copy-link]");
  if (linking) copy(linking, document.getElementById(linking.dataset.copyLink).href, "Copy it from the link");
  closePopovers(target);
});

document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector("details.popover[open]");
  if (!open) return;
  closePopovers(null);
  open.querySelector("summary").focus();
});

document.addEventListener("change", ({ target }) => {
  // A date that is still being typed is out of range: its form waits until it is whole.
  if (target.matches("[data-submit]") && target.value && target.checkValidity()) target.form.requestSubmit();
});

// A dialog opens when its content has come; a link in it, or a click beside it, closes it.
document.addEventListener("htmx:afterSwap", ({ target }) => {
  if (target.matches("dialog")) target.showModal();
});

document.addEventListener("click", ({ target }) => {
  if (target.matches("dialog") || target.closest("dialog a")) target.closest("dialog").close();
});

darkByDefault.addEventListener("change", showTheme);

startNavigation(() => {
  showTheme();
  for (const button of document.querySelectorAll("[data-copy], [data-copy-link]")) button.hidden = !navigator.clipboard;
  refreshLiveCounter();
  refreshRelatedValues();
});
