import { $, el, icon } from "./dom.js";

const STAY = 9000; // ms; what is bad stays until it is closed

// show tells the user something once; the same words again only begin anew. It gives a function that takes it away.
export function show(text, { mood = "info", action, words, id = text } = {}) {
  hide(id);
  const remove = () => box.remove();
  const box = el(
    "div",
    { "data-mood": mood, "data-id": id },
    el("p", {}, text),
    action && el("button", { type: "button", class: "tool small", onclick: () => (remove(), action()) }, words),
    el("button", { type: "button", class: "icon", "aria-label": "Close this notice", onclick: remove }, icon("close")),
  );
  $("notices").append(box);
  if (mood === "info") setTimeout(remove, STAY);
  return remove;
}

export function hide(id) {
  for (const box of $("notices").children) if (box.dataset.id === id) box.remove();
}
