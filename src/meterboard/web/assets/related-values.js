// Highlights what a value of the table is connected with. A click pins the value, Escape clears, pins become filters.
import htmx from "htmx.org";

const HOVER_DELAY = 80; // ms; a pointer on its way to somewhere else requests nothing
const CACHE_SIZE = 200; // responses
const MAX_VALUES_LENGTH = 6_000; // characters of values in one URL

let pins = [];
let timer = 0;
let pending = null; // aborts the requests of the values shown before
const cache = new Map(); // URL -> response

const relatedTable = () => document.querySelector("#rows[data-related]");
const statusBar = () => document.getElementById("linked");
const formatNumber = (value) => value.toLocaleString("en-US");
const isSame = (one, other) => one.column === other.column && one.name === other.name;

function valueAt(target) {
  const cell = target.closest?.("#rows tbody [data-column]");
  const name = cell?.querySelector("a.value bdi");
  return name ? { column: cell.dataset.column, name: name.textContent } : null;
}

// -- Requests: the page's own period and filters, narrowed to the values -----------------------------------------------

function relatedUrl(values) {
  const url = new URL(relatedTable().dataset.related, location.href);
  for (const { column } of values) url.searchParams.delete(column);
  for (const { column, name } of values) url.searchParams.append(column, filterValue(name));
  return url;
}

const filterValue = (name) => (name === relatedTable().dataset.unknown ? "" : name);

async function fetchCached({ href }, signal) {
  if (!cache.has(href)) {
    const response = await fetch(href, { signal, headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`${response.status}`);
    cache.set(href, await response.json());
    if (cache.size > CACHE_SIZE) cache.delete(cache.keys().next().value);
  }
  return cache.get(href);
}

// A response has the values with the most calls. Those on the page that are not among them are requested by name.
async function fetchMissing(values, column, names, signal) {
  const cells = [...relatedTable().querySelectorAll(`tbody [data-column="${column}"] bdi`)];
  const missing = new Set(cells.map((bdi) => bdi.textContent).filter((name) => !names.has(name)));
  for (const chunk of chunksOf(missing, column)) {
    const url = relatedUrl([...values, ...chunk]);
    url.searchParams.set("columns", column);
    url.searchParams.set("limit", chunk.length);
    const response = await fetchCached(url, signal);
    for (const row of response.columns[0].rows) names.add(row.name);
  }
}

function chunksOf(names, column) {
  const chunks = [];
  let length = MAX_VALUES_LENGTH;
  for (const name of names) {
    const added = encodeURIComponent(name).length + column.length + 2;
    if (length + added > MAX_VALUES_LENGTH) {
      chunks.push([]);
      length = 0;
    }
    chunks.at(-1).push({ column, name });
    length += added;
  }
  return chunks;
}

// -- What is shown -----------------------------------------------------------------------------------------------------

async function showRelated(values) {
  clearTimeout(timer);
  pending?.abort();
  pending = new AbortController();
  const { signal } = pending;
  try {
    const response = await fetchCached(relatedUrl(values), signal);
    const related = new Map();
    for (const { column, rows, value_count: count } of response.columns) {
      const names = new Set(rows.map((row) => row.name));
      if (count > names.size) await fetchMissing(values, column, names, signal);
      related.set(column, names);
    }
    if (signal.aborted || !relatedTable()) return;
    for (const { column, name } of values) related.set(column, new Set([name]));
    highlight(values, related);
    showSummary(values, response);
  } catch (error) {
    if (error.name === "AbortError" || !relatedTable()) return;
    clearHighlight();
    setStatus("", "The connections could not be loaded. Try again in a moment.");
  }
}

function highlight(values, related) {
  const table = relatedTable();
  for (const row of table.tBodies[0].rows) {
    const names = new Map();
    for (const cell of row.querySelectorAll("[data-column]")) {
      const name = cell.querySelector("bdi")?.textContent;
      const { column } = cell.dataset;
      if (name !== undefined) names.set(column, name);
      // How many values a group has in a column is as connected as the group itself.
      const isOn = name === undefined ? row.cells[0].classList.contains("on") : related.get(column)?.has(name);
      const isPinned = pins.some((pin) => isSame(pin, { column, name }));
      cell.classList.toggle("on", Boolean(isOn));
      cell.classList.toggle("pinned", isPinned);
      const link = cell.querySelector("a.value");
      if (isPinned) link?.setAttribute("aria-current", "true");
      else link?.removeAttribute("aria-current");
    }
    const fits = values.every(({ column, name }) => !names.has(column) || names.get(column) === name);
    row.classList.toggle("on", fits && row.cells[0].classList.contains("on"));
  }
  table.classList.add("linking");
}

function showSummary(values, { columns, total }) {
  const nouns = JSON.parse(relatedTable().dataset.nouns);
  const given = new Set(values.map(({ column }) => column));
  const counts = columns
    .filter(({ column }) => !given.has(column))
    .map(({ column, value_count: count }) => `${formatNumber(count)} ${nouns[column][count === 1 ? 0 : 1]}`);
  counts.push(`${formatNumber(total.calls)} ${total.calls === 1 ? "call" : "calls"}`);
  counts.push(`${formatNumber(total.credits)} ${total.credits === 1 ? "credit" : "credits"}`);
  const hint = pins.length ? "Click again to filter, Esc to clear." : "Click to pin, Esc to clear.";
  setStatus(values.map(({ name }) => name).join(" and "), `: ${counts.join(", ")}. ${hint}`);
  showPinActions();
}

function setStatus(name, text) {
  const [bdi, span] = statusBar().querySelectorAll("bdi, [role=status] > span");
  if (bdi.textContent !== name) bdi.textContent = name;
  if (span.textContent !== text) span.textContent = text;
}

// The links that make filters of the pins.
function showPinActions() {
  const actions = statusBar().querySelector(".pin-actions");
  actions.hidden = !pins.length;
  actions.replaceChildren();
  if (!pins.length) return;
  actions.append(createLink("Filter by this", filterUrl("")));
  // No filter excludes just what is connected with two values.
  if (pins.length === 1) actions.append(createLink("Exclude", filterUrl("!")));
  const button = Object.assign(document.createElement("button"), {
    type: "button",
    textContent: "Unpin",
    className: "quiet",
  });
  button.addEventListener("click", clearPins);
  actions.append(button);
  htmx.process(actions);
}

function createLink(text, href) {
  return Object.assign(document.createElement("a"), { href, textContent: text });
}

function filterUrl(not) {
  const url = new URL(location.href);
  for (const name of ["page", "open", ...(not ? [] : pins.map(({ column }) => column))]) url.searchParams.delete(name);
  for (const { column, name } of pins) url.searchParams.append(column + not, filterValue(name));
  return url.pathname + url.search;
}

function clearHighlight() {
  clearTimeout(timer);
  pending?.abort();
  const table = relatedTable();
  if (!table) return;
  table.classList.remove("linking");
  for (const marked of table.querySelectorAll(".on, .pinned")) marked.classList.remove("on", "pinned");
  for (const current of table.querySelectorAll("tbody [aria-current]")) current.removeAttribute("aria-current");
  setStatus("", statusBar().querySelector("[data-hint]").dataset.hint);
  showPinActions();
}

function clearPins() {
  pins = [];
  clearHighlight();
}

// -- Pointer and keyboard ----------------------------------------------------------------------------------------------

function onPoint({ target }) {
  if (pins.length || !relatedTable()) return;
  const value = valueAt(target);
  clearTimeout(timer);
  if (value) timer = setTimeout(() => showRelated([value]), HOVER_DELAY);
  else if (!target.closest?.("#rows tbody, #linked")) timer = setTimeout(clearHighlight, HOVER_DELAY);
}

function onClick(event) {
  const clicked = event.target.closest?.("#rows a.value");
  if (!clicked || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  const value = valueAt(clicked);
  if (pins.some((pin) => isSame(pin, value))) return statusBar().querySelector(".pin-actions a").click();
  pins = [...pins.filter(({ column }) => column !== value.column), value];
  showRelated(pins);
}

document.addEventListener("pointerover", onPoint);
document.addEventListener("focusin", onPoint);
document.addEventListener("click", onClick, true);
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && relatedTable() && !document.querySelector("dialog[open], details.popover[open]")) clearPins();
});

// After the page has changed: keeps the pins whose columns it still has.
export function refreshRelatedValues() {
  cache.clear();
  const table = relatedTable();
  pins = table ? pins.filter(({ column }) => table.querySelector(`[data-column="${column}"]`)) : [];
  if (pins.length) showRelated(pins);
}
