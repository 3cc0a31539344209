// Keyboard, theme, the menu of small screens, and presses on what is replaced. Nothing here handles anybody's text.
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
    if (event.target.closest?.("[data-help]")) document.getElementById("keys")?.showModal();
    const copy = event.target.closest?.("[data-copy]");
    if (copy) navigator.clipboard?.writeText(("copyAddress" in copy.dataset ? location.origin : "") + copy.dataset.copy);
    const skip = event.target.closest?.(".skip-link");
    if (skip) {
      event.preventDefault(); // An address with a # would be another one to whoever watches it.
      const wanted = document.querySelector(skip.getAttribute("href"));
      // Of a grid the first tile takes the keys.
      (wanted?.querySelector(":scope > .ds-tile") ?? wanted)?.focus();
    }
  });

  // A section that is built anew between down and up takes its button along, and no click comes.
  // It is pressed all the same: the server still hears it (gui/widgets/live.py).
  let down = null;
  document.addEventListener(
    "pointerdown",
    (event) => {
      const button = event.button === 0 ? event.target.closest?.("button") : null;
      down = button && { button, place: button.getBoundingClientRect() };
    },
    true,
  );
  document.addEventListener(
    "pointerup",
    (event) => {
      const { button, place } = down ?? {};
      down = null;
      if (!button || button.isConnected || button.disabled) return;
      const across = event.clientX >= place.left && event.clientX <= place.right;
      if (across && event.clientY >= place.top && event.clientY <= place.bottom) button.click();
    },
    true,
  );

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
      document.getElementById("keys")?.showModal();
    } else if (event.key === "Escape") {
      document.body.classList.remove("menu-open");
    }
  });
})();
