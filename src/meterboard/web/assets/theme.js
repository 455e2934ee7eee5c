// Runs before the first paint, so that a page never shows in other colours or with other controls for a moment.
(() => {
  const root = document.documentElement;
  root.classList.add("script");
  try {
    const theme = localStorage.getItem("meterboard-theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch {
    // the browser allows no storage
  }
})();
