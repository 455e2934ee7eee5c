// The live counter: words from the server, put in place as they come; says when the line is cut, and since when.

let source = null;
let spokenAt = 0;
const SPEAK_EVERY = 60_000; // a reader hears the counter once a minute at most

export function keepCounting() {
  const place = document.querySelector("[data-live]");
  if (!place) {
    source?.close();
    source = null;
    return;
  }
  if (source && source.readyState !== EventSource.CLOSED) {
    if (source.last) show(source.last);
    line(source.readyState === EventSource.OPEN);
    return;
  }
  source = new EventSource(place.dataset.live);
  source.addEventListener("open", () => line(true));
  source.addEventListener("error", () => line(false));
  source.addEventListener("credits", (event) => {
    source.last = JSON.parse(event.data);
    line(true);
    show(source.last);
  });
}

function show(counter) {
  const answer = document.querySelector("[data-live]");
  if (!answer) return;
  for (const state of ["calm", "close", "over", "unlimited"]) answer.classList.toggle(state, state === counter.state);
  for (const part of answer.querySelectorAll("[data-counter]")) {
    const value = counter[part.dataset.counter];
    if (part.tagName === "PROGRESS") part.value = value;
    else if (part.textContent !== value) part.textContent = value;
  }
  document.title = document.title.replace(/^[^·]*·/, `${counter.headline} ·`);
  if (Date.now() - spokenAt > SPEAK_EVERY) {
    answer.querySelector("[data-spoken]").textContent = `${counter.headline}, ${counter.detail}`;
    spokenAt = Date.now();
  }
}

function line(connected) {
  const place = document.querySelector("[data-line]");
  if (!place) return;
  if (connected) {
    place.textContent = "● live";
    delete place.dataset.since;
  } else {
    place.dataset.since ??= new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    place.textContent = `○ the live line was cut at ${place.dataset.since}, trying again`;
  }
  place.classList.toggle("connected", connected);
  place.classList.toggle("cut", !connected);
}
