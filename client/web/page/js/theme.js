// Runs before anything is drawn, so that the page never flashes in the wrong colours.
"use strict";
(() => {
  const KEY = "autovoiced.theme";
  const system = matchMedia("(prefers-color-scheme: light)");
  const chosen = () => localStorage.getItem(KEY) ?? "system";
  const apply = () => {
    const choice = chosen();
    document.documentElement.dataset.theme = choice === "system" ? (system.matches ? "light" : "dark") : choice;
    document.dispatchEvent(new Event("theme"));
  };
  system.addEventListener("change", apply);
  apply();
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const next = { system: "light", light: "dark", dark: "system" };
    const say = () => button.setAttribute("aria-label", { system: "Colours: as the system", light: "Colours: light", dark: "Colours: dark" }[chosen()]);
    button.addEventListener("click", () => {
      localStorage.setItem(KEY, next[chosen()]);
      apply();
      say();
      button.title = button.getAttribute("aria-label");
    });
    say();
    button.title = button.getAttribute("aria-label");
  });
})();
