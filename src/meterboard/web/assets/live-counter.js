// The live counter: texts from the server, shown as they come; says since when it is disconnected.
const ANNOUNCE_INTERVAL = 60_000; // a screen reader reads the counter once a minute at most
const SILENCE_TIMEOUT = 40_000; // the server sends something every 15 s; a connection this silent is dead
const GRACE_PERIOD = 3_000; // a shorter interruption is not shown
const RECONNECT_INTERVAL = 3_000;
const ANIMATION_DURATION = 400;

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
let source = null;
let lastCounter = null;
let lastMessageAt = Date.now();
let lastConnectAt = 0;
let announcedAt = 0;
let isDisconnected = false;
let watchdog = 0;

const counterElement = () => document.querySelector("[data-live]");

// Connects while the page has a counter. May be called again at any time.
export function refreshLiveCounter() {
  if (!counterElement()) {
    disconnect();
    clearInterval(watchdog);
    watchdog = 0;
    return;
  }
  if (!watchdog) {
    watchdog = setInterval(checkConnection, 1_000);
    lastMessageAt = Date.now();
  }
  if (!source) connect();
  if (lastCounter) showCounter(lastCounter);
  showConnection();
}

function connect() {
  source = new EventSource(counterElement().dataset.live);
  source.addEventListener("open", onMessage);
  source.addEventListener("here", onMessage);
  source.addEventListener("credits", (event) => {
    lastCounter = JSON.parse(event.data);
    onMessage();
    showCounter(lastCounter);
  });
}

function disconnect() {
  source?.close();
  source = null;
  lastCounter = null;
}

function onMessage() {
  lastMessageAt = Date.now();
  isDisconnected = false;
  showConnection();
}

function checkConnection() {
  const silence = Date.now() - lastMessageAt;
  const isOpen = source?.readyState === EventSource.OPEN && silence < SILENCE_TIMEOUT;
  if (isOpen || silence < GRACE_PERIOD) return;
  isDisconnected = true;
  showConnection();
  // A browser does not reconnect after an error response, nor when a connection is only silent.
  const isDead = !source || source.readyState === EventSource.CLOSED || silence > SILENCE_TIMEOUT;
  if (isDead && Date.now() - lastConnectAt > RECONNECT_INTERVAL) {
    lastConnectAt = Date.now();
    source?.close();
    connect();
  }
}

function showConnection() {
  const element = document.querySelector("[data-connection]");
  if (!element) return;
  const isOpen = source?.readyState === EventSource.OPEN && !isDisconnected;
  element.textContent = isDisconnected ? `○ Disconnected since ${formatTime(lastMessageAt)}, reconnecting` : "● live";
  element.classList.toggle("connected", isOpen);
  element.classList.toggle("disconnected", isDisconnected);
}

// In the time zone that the rest of the page is in.
function formatTime(moment) {
  const timeZone = counterElement().dataset.zone;
  return new Date(moment).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone });
}

function showCounter(counter) {
  const element = counterElement();
  if (!element) return;
  if (counter.calls && document.querySelector("[data-first-call]")) {
    document.dispatchEvent(new Event("meterboard:first-call"));
  }
  for (const state of ["calm", "close", "over", "unlimited"]) element.classList.toggle(state, state === counter.state);
  for (const part of element.querySelectorAll("[data-counter]")) {
    const value = counter[part.dataset.counter];
    if (part.tagName === "PROGRESS") part.value = value;
    else if (part.dataset.counter === "headline") animateNumber(part, value);
    else if (part.textContent !== value) part.textContent = value;
  }
  document.title = document.title.replace(/^[^·]*·/, `${counter.headline} ·`);
  if (Date.now() - announcedAt > ANNOUNCE_INTERVAL) {
    element.querySelector("[data-spoken]").textContent = `${counter.headline}, ${counter.detail}`;
    announcedAt = Date.now();
  }
}

const numberIn = (text) => Number(text.match(/[\d,]+/)?.[0].replaceAll(",", ""));
let animationFrame = 0;

// Numbers run from the old to the new one; the rest of the text changes at once.
function animateNumber(element, text) {
  if (element.dataset.shown === text || element.textContent === text) return;
  const from = numberIn(element.textContent);
  const to = numberIn(text);
  element.dataset.shown = text;
  cancelAnimationFrame(animationFrame);
  if (reducedMotion.matches || document.hidden || Number.isNaN(from) || Number.isNaN(to)) {
    element.textContent = text;
    return;
  }
  const start = performance.now();
  const step = (now) => {
    const share = Math.min(1, Math.max(0, (now - start) / ANIMATION_DURATION));
    const value = Math.round(from + (to - from) * share);
    element.textContent = share < 1 ? text.replace(/[\d,]+/, value.toLocaleString("en-US")) : text;
    if (share < 1) animationFrame = requestAnimationFrame(step);
  };
  animationFrame = requestAnimationFrame(step);
}
