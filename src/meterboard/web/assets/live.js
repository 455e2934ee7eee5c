// The live counter: words from the server, put in place as they come; says when the line is cut, and since when.
const SPEAK_EVERY = 60_000; // a reader hears the counter once a minute at most
const SILENCE = 40_000; // the server says something every 15 s; a line this silent is dead, whatever the browser thinks
const PATIENCE = 3_000; // a line that is back sooner was never cut as far as people are concerned
const AGAIN = 3_000;
const ROLL = 400;

const still = matchMedia("(prefers-reduced-motion: reduce)");
let source = null;
let last = null;
let heardAt = Date.now();
let spokenAt = 0;
let isCut = false;
let watch = 0;

// Keeps the line open while the page has a counter. May be called again at any time.
export function keepCounting() {
  const place = document.querySelector("[data-live]");
  if (!place) {
    hangUp();
    clearInterval(watch);
    watch = 0;
    return;
  }
  if (!watch) {
    watch = setInterval(look, 1_000);
    heardAt = Date.now();
  }
  if (!source) call();
  if (last) show(last);
  line();
}

function call() {
  source = new EventSource(document.querySelector("[data-live]").dataset.live);
  source.addEventListener("open", heard);
  source.addEventListener("here", heard);
  source.addEventListener("credits", (event) => {
    last = JSON.parse(event.data);
    heard();
    show(last);
  });
}

function hangUp() {
  source?.close();
  source = null;
  last = null;
}

function heard() {
  heardAt = Date.now();
  isCut = false;
  line();
}

let calledAt = 0;
function look() {
  const quiet = Date.now() - heardAt;
  const open = source?.readyState === EventSource.OPEN && quiet < SILENCE;
  if (open || quiet < PATIENCE) return;
  isCut = true;
  line();
  // A browser gives up for good on a server that answered with an error; this does not.
  const gone = !source || source.readyState === EventSource.CLOSED || quiet > SILENCE;
  if (gone && Date.now() - calledAt > AGAIN) {
    calledAt = Date.now();
    source?.close();
    call();
  }
}

function line() {
  const place = document.querySelector("[data-line]");
  if (!place) return;
  const open = source?.readyState === EventSource.OPEN && !isCut;
  place.textContent = isCut ? `○ live line cut at ${clock(heardAt)}, trying again` : "● live";
  place.classList.toggle("connected", open);
  place.classList.toggle("cut", isCut);
}

// In the time zone that the rest of the page is in.
function clock(moment) {
  const timeZone = document.querySelector("[data-live]").dataset.zone;
  return new Date(moment).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone });
}

function show(counter) {
  const answer = document.querySelector("[data-live]");
  if (!answer) return;
  if (counter.calls && document.querySelector("[data-first-call]")) {
    document.dispatchEvent(new Event("meterboard:first-call"));
  }
  for (const state of ["calm", "close", "over", "unlimited"]) answer.classList.toggle(state, state === counter.state);
  for (const part of answer.querySelectorAll("[data-counter]")) {
    const value = counter[part.dataset.counter];
    if (part.tagName === "PROGRESS") part.value = value;
    else if (part.dataset.counter === "headline") roll(part, value);
    else if (part.textContent !== value) part.textContent = value;
  }
  document.title = document.title.replace(/^[^·]*·/, `${counter.headline} ·`);
  if (Date.now() - spokenAt > SPEAK_EVERY) {
    answer.querySelector("[data-spoken]").textContent = `${counter.headline}, ${counter.detail}`;
    spokenAt = Date.now();
  }
}

const numberIn = (words) => Number(words.match(/[\d,]+/)?.[0].replaceAll(",", ""));
let rolling = 0;

// Numbers run from the old to the new one; words change at once.
function roll(place, words) {
  if (place.dataset.shown === words || place.textContent === words) return;
  const from = numberIn(place.textContent);
  const to = numberIn(words);
  place.dataset.shown = words;
  cancelAnimationFrame(rolling);
  if (still.matches || document.hidden || Number.isNaN(from) || Number.isNaN(to)) {
    place.textContent = words;
    return;
  }
  const start = performance.now();
  const step = (now) => {
    const share = Math.min(1, Math.max(0, (now - start) / ROLL));
    const value = Math.round(from + (to - from) * share);
    place.textContent = share < 1 ? words.replace(/[\d,]+/, value.toLocaleString("en-US")) : words;
    if (share < 1) rolling = requestAnimationFrame(step);
  };
  rolling = requestAnimationFrame(step);
}
