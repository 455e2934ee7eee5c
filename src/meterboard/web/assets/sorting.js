// With Shift, a click on a heading (or Enter) sorts by it in addition to what the table is sorted by.
document.addEventListener(
  "click",
  (event) => {
    const heading = event.shiftKey && event.target.closest?.("a[data-sorts]");
    if (!heading) return;
    event.preventDefault();
    event.stopPropagation();
    heading.parentElement.querySelector("[data-then]").click();
  },
  true,
);
