// The linked table: what a value is connected with lights up. A click pins it, Escape lets go, pins become filters.
import htmx from "htmx.org";

const WAIT = 80; // a pointer on its way to somewhere else asks nothing
const MOST_KEPT = 200;
const MOST_IN_ADDRESS = 6_000; // characters of values to ask about at once

let pins = [];
let waiting = 0;
let asking = null;
const kept = new Map();

const rows = () => document.querySelector("#rows[data-related]");
const line = () => document.getElementById("linked");
const number = (value) => value.toLocaleString("en-US");
const same = (one, other) => one.column === other.column && one.name === other.name;

function valueIn(place) {
  const cell = place.closest?.("#rows tbody [data-column]");
  const name = cell?.querySelector("a.value bdi");
  return name ? { column: cell.dataset.column, name: name.textContent } : null;
}

// -- Asking: the page's own question, narrowed to the values -----------------------------------------------------------

function question(values) {
  const url = new URL(rows().dataset.related, location.href);
  for (const { column } of values) url.searchParams.delete(column);
  for (const { column, name } of values) url.searchParams.append(column, asFilter(name));
  return url;
}

const asFilter = (name) => (name === rows().dataset.unknown ? "" : name);

async function ask(url, signal) {
  const address = url.href;
  if (!kept.has(address)) {
    const response = await fetch(address, { signal, headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`${response.status}`);
    kept.set(address, await response.json());
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
  }
  return kept.get(address);
}

// An answer names the values with most calls. Those that are on the page and not among them are asked for by name.
async function askAbout(values, found, names, signal) {
  const seen = [...rows().querySelectorAll(`tbody [data-column="${found.column}"] bdi`)].map((bdi) => bdi.textContent);
  let some = [];
  let length = 0;
  const chunks = [];
  for (const name of new Set(seen.filter((name) => !names.has(name)))) {
    length += encodeURIComponent(name).length + found.column.length + 2;
    if (length > MOST_IN_ADDRESS && some.length) {
      chunks.push(some);
      some = [];
      length = 0;
    }
    some.push({ column: found.column, name });
  }
  if (some.length) chunks.push(some);
  for (const chunk of chunks) {
    const url = question([...values, ...chunk]);
    url.searchParams.set("columns", found.column);
    url.searchParams.set("limit", chunk.length);
    const answer = await ask(url, signal);
    for (const row of answer.columns[0].rows) names.add(row.name);
  }
}

// -- Showing -----------------------------------------------------------------------------------------------------------

async function show(values) {
  clearTimeout(waiting);
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  try {
    const answer = await ask(question(values), signal);
    const connected = new Map();
    for (const found of answer.columns) {
      const names = new Set(found.rows.map((row) => row.name));
      if (found.value_count > names.size) await askAbout(values, found, names, signal);
      connected.set(found.column, names);
    }
    if (signal.aborted || !rows()) return;
    for (const { column, name } of values) connected.set(column, new Set([name]));
    paint(values, connected);
    say(values, answer);
  } catch (error) {
    if (error.name === "AbortError" || !rows()) return;
    clear();
    tell("", "What this is connected with could not be loaded. Try again in a moment.");
  }
}

function paint(values, connected) {
  const table = rows();
  for (const row of table.tBodies[0].rows) {
    const names = new Map();
    for (const cell of row.querySelectorAll("[data-column]")) {
      const name = cell.querySelector("bdi")?.textContent;
      const { column } = cell.dataset;
      if (name !== undefined) names.set(column, name);
      // How many values a group has in a column is as connected as the group itself.
      const on = name === undefined ? row.cells[0].classList.contains("on") : connected.get(column)?.has(name);
      cell.classList.toggle("on", Boolean(on));
      cell.classList.toggle(
        "pinned",
        pins.some((pin) => same(pin, { column, name })),
      );
      const link = cell.querySelector("a.value");
      if (cell.classList.contains("pinned")) link?.setAttribute("aria-current", "true");
      else link?.removeAttribute("aria-current");
    }
    const fits = values.every(({ column, name }) => !names.has(column) || names.get(column) === name);
    row.classList.toggle("on", fits && row.cells[0].classList.contains("on"));
  }
  table.classList.add("linking");
}

function say(values, answer) {
  const nouns = JSON.parse(rows().dataset.nouns);
  const of = new Set(values.map(({ column }) => column));
  const counts = answer.columns
    .filter(({ column }) => !of.has(column))
    .map(({ column, names }) => `${number(names)} ${nouns[column][names === 1 ? 0 : 1]}`);
  counts.push(`${number(answer.total.calls)} ${answer.total.calls === 1 ? "call" : "calls"}`);
  counts.push(`${number(answer.total.credits)} ${answer.total.credits === 1 ? "credit" : "credits"}`);
  const way = pins.length ? "Click it again to filter, Esc to let go." : "Click to pin, Esc to let go.";
  tell(values.map(({ name }) => name).join(" and "), `: ${counts.join(", ")}. ${way}`);
  offer();
}

function tell(name, words) {
  const [bdi, span] = line().querySelectorAll("bdi, [role=status] > span");
  if (bdi.textContent !== name) bdi.textContent = name;
  if (span.textContent !== words) span.textContent = words;
}

// The links that make filters of the pins.
function offer() {
  const ways = line().querySelector(".ways");
  ways.hidden = !pins.length;
  ways.replaceChildren();
  if (!pins.length) return;
  ways.append(link("Filter to this", filterAddress("")));
  // What is connected with two values can be kept out by neither of them.
  if (pins.length === 1) ways.append(link("Keep out", filterAddress("!")));
  const button = Object.assign(document.createElement("button"), {
    type: "button",
    textContent: "Let go",
    className: "quiet",
  });
  button.addEventListener("click", letGo);
  ways.append(button);
  htmx.process(ways);
}

function link(words, address) {
  return Object.assign(document.createElement("a"), { href: address, textContent: words });
}

function filterAddress(not) {
  const url = new URL(location.href);
  for (const name of ["page", "open", ...(not ? [] : pins.map(({ column }) => column))]) url.searchParams.delete(name);
  for (const { column, name } of pins) url.searchParams.append(column + not, asFilter(name));
  return url.pathname + url.search;
}

function clear() {
  clearTimeout(waiting);
  asking?.abort();
  const table = rows();
  if (!table) return;
  table.classList.remove("linking");
  for (const marked of table.querySelectorAll(".on, .pinned")) marked.classList.remove("on", "pinned");
  for (const current of table.querySelectorAll("tbody [aria-current]")) current.removeAttribute("aria-current");
  tell("", line().querySelector("[data-hint]").dataset.hint);
  offer();
}

function letGo() {
  pins = [];
  clear();
}

// -- What people do ----------------------------------------------------------------------------------------------------

function point({ target }) {
  if (pins.length || !rows()) return;
  const value = valueIn(target);
  clearTimeout(waiting);
  if (value) waiting = setTimeout(() => show([value]), WAIT);
  else if (!target.closest?.("#rows tbody, #linked")) waiting = setTimeout(clear, WAIT);
}

function pin(event) {
  const clicked = event.target.closest?.("#rows a.value");
  if (!clicked || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  const value = valueIn(clicked);
  if (pins.some((pinned) => same(pinned, value))) return line().querySelector(".ways a").click();
  pins = [...pins.filter(({ column }) => column !== value.column), value];
  show(pins);
}

document.addEventListener("pointerover", point);
document.addEventListener("focusin", point);
document.addEventListener("click", pin, true);
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && rows() && !document.querySelector("dialog[open], details.popover[open]")) letGo();
});

// After the page has changed: the pins that it still has columns for hold on.
export function keepLinked() {
  kept.clear();
  const table = rows();
  pins = table ? pins.filter(({ column }) => table.querySelector(`[data-column="${column}"]`)) : [];
  if (pins.length) show(pins);
}
