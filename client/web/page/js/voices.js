import { $, el } from "./dom.js";
import { json } from "./api.js";
import { set, settings } from "./settings.js";

// Voices are all that the daemon can speak as: bundled voices, and the owner's profiles. Events: "change" when the list is new,
// "choose" when the user picks one.
export class Voices extends EventTarget {
  all = [];

  async load() {
    this.all = await json("/v1/voices");
    if (!this.find(settings.voice)) set("voice", this.all.find((voice) => voice.default)?.name ?? this.all[0]?.name ?? "");
    this.#draw();
    this.dispatchEvent(new Event("change"));
  }

  find(name) {
    return this.all.find((voice) => voice.name === name);
  }

  get chosen() {
    return this.find(settings.voice);
  }

  // request is how start names the chosen voice.
  get request() {
    const voice = this.chosen;
    if (!voice) return {};
    return voice.kind === "profile" ? { profile: voice.name } : { voice: voice.name };
  }

  // follow shows a voice that was chosen elsewhere.
  follow(name) {
    if (name === settings.voice || !this.find(name)) return;
    set("voice", name);
    this.#draw();
    this.dispatchEvent(new Event("change"));
  }

  choose(name) {
    set("voice", name);
    this.#draw();
    this.dispatchEvent(new CustomEvent("choose", { detail: this.chosen }));
  }

  #draw() {
    const order = { profile: 0, voice: 1, passthrough: 2 };
    const sorted = this.all.toSorted((a, b) => order[a.kind] - order[b.kind]);
    const focused = document.activeElement?.name === "voice";
    $("voice-list").replaceChildren(...sorted.map((voice) => this.#row(voice)));
    if (focused) $("voice-list").querySelector(":checked")?.focus();
  }

  #row(voice) {
    const about = voice.kind === "profile" ? "a voice of your own" : voice.kind === "passthrough" ? "your own voice, unchanged" : [voice.sex, voice.description].filter(Boolean).join(", ");
    return el(
      "label",
      {},
      el("input", { type: "radio", name: "voice", value: voice.name, checked: voice.name === settings.voice, onchange: () => this.choose(voice.name) }),
      el("span", { class: "who" }, el("strong", {}, voice.name), el("span", { class: "about" }, about)),
      voice.median_hz ? el("span", { class: "hz", title: "usual pitch" }, `${Math.round(voice.median_hz)} Hz`) : null,
    );
  }
}
