import { $, el, icon, whisper } from "./dom.js";
import { address, call, json, upload } from "./api.js";
import { clock, number } from "./figures.js";
import { show } from "./notices.js";
import { Player } from "./player.js";
import { sentence, tell } from "./words.js";

const RETRY = 2000; // ms before a lost event stream is asked for again
const over = (state) => ["done", "failed", "cancelled"].includes(state);
const SHORT = { separation: "separation", f0_extraction: "pitch", conversion: "conversion", mixing: "mixing" };
const STAGES = { separation: "separating voice and music", f0_extraction: "following the pitch", conversion: "converting the voice", mixing: "mixing", decoding: "reading", encoding: "writing" };

// Songs is the view that converts whole songs: each is a job of the daemon, from here or from elsewhere.
export class Songs {
  #jobs = new Map(); // id → {job, row, events, file, player}
  #loaded = false;

  constructor(voices) {
    this.voices = voices;
    voices.addEventListener("change", () => this.#fillVoices());
    this.#form();
  }

  // open is called whenever the view is shown.
  async open() {
    if (this.#loaded) return;
    try {
      for (const job of await json("/v1/convert")) this.#show(job);
      this.#loaded = true;
    } catch (err) {
      if (err.code !== "not_found") show(tell(err), { mood: "bad", id: "songs" });
    }
  }

  #fillVoices() {
    const chosen = $("song-voice").value || this.voices.chosen?.name;
    $("song-voice").replaceChildren(...this.voices.all.map(({ name, description, kind }) => new Option(`${name}${kind === "profile" ? " (your own)" : description ? ` – ${description}` : ""}`, name)));
    $("song-voice").value = chosen;
  }

  #form() {
    const pitches = Array.from({ length: 49 }, (_, i) => 24 - i);
    $("song-pitch").replaceChildren(new Option("Automatic", "auto"), ...pitches.map((n) => new Option(n === 0 ? "As sung" : `${n > 0 ? "+" : "−"}${Math.abs(n)} semitones`, n)));
    for (const id of ["song-vocal", "song-music"]) $(id).oninput = ({ target }) => ($(`${id}-value`).textContent = `${target.value.replace("-", "−")} dB`);
    $("song-file").onchange = () => this.#named();
    const drop = $("song-drop");
    drop.ondragover = (event) => (event.preventDefault(), drop.toggleAttribute("data-over", true));
    drop.ondragleave = () => drop.removeAttribute("data-over");
    drop.ondrop = (event) => {
      event.preventDefault();
      drop.removeAttribute("data-over");
      if (event.dataTransfer.files.length) $("song-file").files = event.dataTransfer.files;
      this.#named();
    };
    $("song-form").onsubmit = (event) => (event.preventDefault(), this.#convert());
  }

  #named() {
    const [file] = $("song-file").files;
    $("song-name").textContent = file ? file.name : "Choose a song";
  }

  #options() {
    const voice = this.voices.find($("song-voice").value);
    const pitch = $("song-pitch").value;
    const [format, samples] = $("song-format").value.split(" ");
    return {
      ...(voice?.kind === "profile" ? { profile: voice.name } : { voice: voice?.name }),
      preset: $("song-preset").value,
      pitch_shift_semitones: pitch === "auto" ? "auto" : Number(pitch),
      format,
      samples,
      vocal_gain_db: Number($("song-vocal").value),
      music_gain_db: Number($("song-music").value),
    };
  }

  async #convert() {
    const [file] = $("song-file").files;
    const form = new FormData();
    form.append("options", JSON.stringify(this.#options())); // first: the daemon reads the file knowing what to do with it
    form.append("song", file, file.name);
    const abort = new AbortController();
    const entry = this.#enter({ name: file.name, state: "uploading", progress: 0 }, { file, abort });
    try {
      const job = await upload("/v1/convert", form, (progress) => this.#draw(entry, { ...entry.job, progress }), abort.signal);
      this.#jobs.set(job.id, entry);
      this.#draw(entry, job);
      this.#follow(entry);
    } catch (err) {
      if (err.name === "AbortError") return;
      this.#draw(entry, { ...entry.job, state: "failed", error: { message: tell(err) } });
    }
  }

  #show(job) {
    const known = this.#jobs.get(job.id);
    const entry = known ?? this.#enter(job, {});
    this.#jobs.set(job.id, entry);
    this.#draw(entry, job);
    if (!over(job.state) && !entry.events) this.#follow(entry);
  }

  #enter(job, more) {
    const entry = { job, ...more };
    entry.words = el("span", { class: "dim" });
    entry.bar = el("progress", { max: 1, "aria-label": `Progress of ${job.name}` });
    entry.remove = el("button", { type: "button", class: "icon", onclick: () => this.#remove(entry) }, icon("close"));
    entry.stage = el("div");
    entry.row = el("li", {}, el("div", { class: "job-head" }, el("div", {}, el("strong", {}, job.name), entry.words), entry.remove), entry.bar, entry.stage);
    $("jobs").querySelector(".empty")?.remove();
    $("jobs").prepend(entry.row);
    this.#draw(entry, job);
    return entry;
  }

  // follow reads the job's events until the final one.
  #follow(entry) {
    const events = new EventSource(address(`/v1/convert/${entry.job.id}/events`));
    entry.events = events;
    events.onmessage = ({ data }) => {
      this.#draw(entry, JSON.parse(data));
      if (over(entry.job.state)) events.close();
    };
    events.onerror = () => {
      events.close();
      if (!over(entry.job.state) && !entry.gone) setTimeout(() => this.#again(entry), RETRY);
    };
  }

  async #again(entry) {
    try {
      this.#draw(entry, await json(`/v1/convert/${entry.job.id}`));
      if (!over(entry.job.state)) this.#follow(entry);
    } catch (err) {
      if (err.retryable) setTimeout(() => this.#again(entry), RETRY);
      else this.#draw(entry, { ...entry.job, state: "failed", error: { message: tell(err) } });
    }
  }

  #draw(entry, job) {
    const before = entry.job.state;
    entry.job = job;
    entry.row.dataset.state = job.state;
    entry.words.textContent = words(job);
    entry.words.className = job.state === "failed" ? "bad" : "dim";
    entry.bar.hidden = over(job.state);
    if (job.state === "queued") entry.bar.removeAttribute("value");
    else entry.bar.value = job.progress;
    entry.remove.setAttribute("aria-label", `${over(job.state) ? "Remove" : "Cancel"} ${job.name}`);
    if (job.state === "done" && !entry.opened) this.#finished(entry, before !== "done");
  }

  #finished(entry, fresh) {
    entry.opened = true;
    if (fresh) whisper(`${entry.job.name} is converted`);
    const open = el("button", { type: "button", class: "tool small", onclick: () => this.#listen(entry) }, icon("play"), "Listen");
    const save = el("a", { class: "tool small", href: address(entry.job.result.url), download: resultName(entry.job) }, icon("download"), "Download");
    entry.stage.replaceChildren(el("div", { class: "deck opened" }, open, save));
    const { notes = [], stage_timings_ms } = entry.job.result;
    entry.row.append(...shares(stage_timings_ms), ...notes.map((note) => el("p", { class: "note" }, sentence(note))));
    if (fresh && entry.file) this.#listen(entry);
  }

  // listen fetches the result and lays it under the song that was sent, if this page still has it.
  async #listen(entry) {
    try {
      const blob = await (await call(entry.job.result.url)).blob();
      const rate = entry.job.result.rate || 48000;
      const after = await decode(blob, rate);
      const before = entry.file && (await decode(entry.file, rate).catch(() => null)); // a format that this browser cannot read
      const sides = before ? [{ name: "Before", side: "in", buffer: before }] : [];
      sides.push({ name: "After", side: "out", buffer: after, blob, file: resultName(entry.job) });
      entry.player = new Player(entry.stage, sides);
    } catch (err) {
      show(tell(err), { mood: "bad", id: "song" });
    }
  }

  async #remove(entry) {
    entry.gone = true;
    entry.abort?.abort();
    entry.events?.close();
    entry.player?.close();
    try {
      if (entry.job.id) await call(`/v1/convert/${entry.job.id}`, { method: "DELETE" });
    } catch (err) {
      if (err.code !== "not_found") show(tell(err), { mood: "bad", id: "song" });
    }
    this.#jobs.delete(entry.job.id);
    entry.row.remove();
    if (!$("jobs").children.length) $("jobs").append(el("li", { class: "dim empty" }, "No song has been converted yet."));
  }
}

// shares show how much of the time each stage took.
function shares(timings) {
  const stages = Object.keys(SHORT).filter((stage) => timings?.[stage] > 0);
  const all = stages.reduce((sum, stage) => sum + timings[stage], 0);
  const coloured = (name, stage, ...children) => {
    const node = el(name, {}, ...children);
    node.style.setProperty("--colour", `var(--${stage})`);
    node.style.setProperty("--share", `${((100 * timings[stage]) / all).toFixed(1)}%`);
    return node;
  };
  if (all === 0) return [];
  const legend = stages.map((stage) => coloured("li", stage, `${SHORT[stage]} `, el("b", {}, `${number(timings[stage] / 1000)} s`)));
  return [el("div", { class: "parts", "aria-hidden": "true" }, ...stages.map((stage) => coloured("i", stage))), el("ul", { class: "legend" }, ...legend)];
}

const decode = async (blob, rate) => new OfflineAudioContext(2, 1, rate).decodeAudioData(await blob.arrayBuffer());

function resultName({ name, result }) {
  return `${name.replace(/\.[^.]+$/, "")} - ${result.voice}.${result.format}`;
}

function words(job) {
  const percent = `${Math.round(100 * (job.progress ?? 0))} %`;
  if (job.state === "uploading") return `Sending, ${percent}`;
  if (job.state === "queued") return job.ahead ? `Waiting: ${job.ahead} before it` : "Waiting for its turn";
  if (job.state === "failed") return job.error?.message ?? "Failed";
  if (job.state === "cancelled") return "Cancelled";
  if (job.state === "done") {
    const { voice, rate, pitch_shift_semitones } = job.result;
    const shift = pitch_shift_semitones ? ` · ${pitch_shift_semitones > 0 ? "+" : "−"}${number(Math.abs(pitch_shift_semitones), 1)} semitones` : "";
    return `${voice}${shift} · ${clock(job.audio_seconds)} at ${number(rate / 1000, 1)} kHz · in ${number(job.elapsed_seconds)} s, ${number(job.speed)} times real time`;
  }
  const left = job.eta_seconds > 0 ? ` · ${clock(job.eta_seconds)} left` : "";
  return `${percent} · ${STAGES[job.stage] ?? job.stage ?? "converting"}${job.speed ? ` · ${number(job.speed)} times real time` : ""}${left}`;
}
