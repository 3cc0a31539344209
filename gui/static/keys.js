// Keyboard, theme and the menu of small screens. Nothing here handles anybody's text.
"use strict";
(() => {
  let waitingForPlace = false;
  const typing = (target) =>
    target.closest?.("input, textarea, select, [contenteditable], .cm-editor, .q-dialog") !== null &&
    target.closest !== undefined;

  const setTheme = (dark) => {
    document.cookie = `drystone_theme=${dark ? "dark" : "light"}; path=/; max-age=31536000; samesite=lax`;
    window.Quasar?.Dark?.set(dark);
  };
  const toggleTheme = () => setTheme(!document.body.classList.contains("body--dark"));

  document.addEventListener("click", (event) => {
    const menu = event.target.closest?.("[data-menu]");
    if (menu) {
      const open = document.body.classList.toggle("menu-open");
      menu.setAttribute("aria-expanded", String(open));
      return;
    }
    if (event.target.closest?.("[data-theme-button]")) toggleTheme();
    const copy = event.target.closest?.("[data-copy]");
    if (copy) navigator.clipboard?.writeText(copy.dataset.copy);
    const skip = event.target.closest?.(".skip-link");
    if (skip) document.getElementById("content")?.focus();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (waitingForPlace) {
      waitingForPlace = false;
      const place = [...document.querySelectorAll("[data-key]")].find((a) => a.dataset.key === event.key);
      if (place) {
        event.preventDefault();
        place.click();
      }
      return;
    }
    if (event.key === "g") {
      waitingForPlace = true;
      setTimeout(() => (waitingForPlace = false), 1500);
    } else if (event.key === "t") {
      toggleTheme();
    } else if (event.key === "/") {
      const search = document.querySelector("[data-search] input, input[data-search]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    } else if (event.key === "?") {
      document.querySelector("[data-help]")?.click();
    } else if (event.key === "Escape") {
      document.body.classList.remove("menu-open");
    }
  });
})();
