import { $, el, icon, press, whisper } from "./dom.js";
import { call, json, upload } from "./api.js";
import { clock, number } from "./figures.js";
import { Meter } from "./meter.js";
import { show } from "./notices.js";
import { settings } from "./settings.js";
import { wav } from "./wav.js";
import { sentence, tell } from "./words.js";

const ENOUGH = 10; // seconds of speech; fewer make a poor voice, and much fewer are refused
const SPEECH = 10 ** (-45 / 20); // RMS of what counts as such
const LONGEST = 60;

// Profiles is the view where a voice of one's own is made, from recordings, and removed.
export class Profiles {
  #clips = []; // {name, blob, seconds}
  #meter = new Meter($("profile-meter"));
  #recording = null;

  constructor(voices) {
    this.voices = voices;
    $("profile-record").onclick = () => (this.#recording ? this.#stop() : this.#record());
    $("profile-file").onchange = ({ target }) => {
      for (const file of target.files) this.#add({ name: file.name, blob: file });
      target.value = "";
    };
    $("profile-name").oninput = () => this.#check();
    $("profile-form").onsubmit = (event) => (event.preventDefault(), this.#save());
  }

  async open() {
    try {
      this.#list(await json("/v1/profiles"));
    } catch (err) {
      show(tell(err), { mood: "bad", id: "profiles" });
    }
  }

  async #record() {
    try {
      this.#recording = await new Recording().open(settings.input);
    } catch (err) {
      show(tell(err), { mood: "bad", id: "profile" });
      return;
    }
    press($("profile-record"), true, { words: "Stop" });
    whisper("Recording");
    this.#picture(performance.now());
  }

  #picture(now) {
    if (!this.#recording) {
      this.#meter.clear();
      return;
    }
    this.#meter.draw(this.#recording.analyser, now);
    const { seconds, speech } = this.#recording;
    const left = Math.ceil(ENOUGH - speech);
    $("profile-time").textContent = `${clock(seconds)}, ${left > 0 ? `${left} s of speech to go` : "that is enough; more is better"}`;
    if (seconds >= LONGEST) this.#stop();
    requestAnimationFrame((next) => this.#picture(next));
  }

  #stop() {
    const { samples, rate, advice } = this.#recording.close();
    this.#recording = null;
    press($("profile-record"), false, { words: "Record" });
    $("profile-time").textContent = "";
    if (samples.length > 0) this.#add({ name: `recording-${this.#clips.length + 1}.wav`, blob: wav(samples, rate), seconds: samples.length / rate, advice });
  }

  #add(clip) {
    this.#clips.push(clip);
    const href = URL.createObjectURL(clip.blob);
    const row = el(
      "li",
      {},
      el("audio", { src: href, preload: "metadata" }),
      el("button", { type: "button", class: "icon", "aria-label": `Play ${clip.name}`, onclick: () => toggle(row.querySelector("audio")) }, icon("play")),
      el("span", {}, clip.name, el("span", { class: "dim" }, clip.seconds ? ` ${number(clip.seconds)} s` : ""), clip.advice ? el("span", { class: "warn" }, ` ${clip.advice}`) : null),
      el("button", { type: "button", class: "icon", "aria-label": `Remove ${clip.name}`, onclick: () => this.#drop(clip, row, href) }, icon("bin")),
    );
    $("profile-clips").append(row);
    this.#check();
  }

  #drop(clip, row, href) {
    this.#clips.splice(this.#clips.indexOf(clip), 1);
    URL.revokeObjectURL(href);
    row.remove();
    this.#check();
  }

  #check() {
    $("profile-save").disabled = this.#clips.length === 0 || !$("profile-name").validity.valid;
  }

  async #save() {
    const form = new FormData();
    form.append("name", $("profile-name").value);
    for (const { blob, name } of this.#clips) form.append("reference", blob, name);
    const button = $("profile-save");
    button.disabled = true;
    try {
      const profile = await upload("/v1/profiles", form, (share) => (button.textContent = share < 1 ? `Sending ${Math.round(share * 100)} %` : "Listening…"));
      show(`${profile.name} can be chosen now.`, { id: "profile" });
      $("profile-name").value = "";
      this.#clips = [];
      $("profile-clips").replaceChildren();
      await Promise.all([this.open(), this.voices.load()]);
    } catch (err) {
      show(tell(err), { mood: "bad", id: "profile" });
    } finally {
      button.textContent = "Save the voice";
      this.#check();
    }
  }

  #list(profiles) {
    const none = el("li", { class: "dim empty" }, "None yet.");
    $("profiles").replaceChildren(...(profiles.length ? profiles.map((profile) => this.#row(profile)) : [none]));
  }

  #row(profile) {
    const about = `${profile.median_hz ? `${Math.round(profile.median_hz)} Hz · ` : ""}${number(profile.speech_seconds)} s of speech in ${profile.recordings} recording${profile.recordings === 1 ? "" : "s"}`;
    const use = el("button", { type: "button", class: "tool small", disabled: Boolean(profile.unusable), onclick: () => this.#use(profile) }, "Use");
    const remove = el("button", { type: "button", class: "icon", "aria-label": `Remove ${profile.name}`, onclick: () => this.#remove(profile, remove) }, icon("bin"));
    const warnings = [...(profile.warnings ?? []), ...(profile.unusable ? [profile.unusable] : [])];
    return el(
      "li",
      { "data-profile": profile.name },
      el("div", { class: "job-head" }, el("div", {}, el("strong", {}, profile.name), el("span", { class: "dim" }, about)), use, remove),
      warnings.length ? el("ul", { class: "warnings" }, ...warnings.map((w) => el("li", {}, sentence(w)))) : null,
    );
  }

  #use(profile) {
    this.voices.choose(profile.name);
    location.hash = "#live";
  }

  // The first press asks, the second one removes.
  async #remove(profile, button) {
    if (!button.dataset.sure) {
      button.dataset.sure = "yes";
      button.classList.add("bad");
      button.setAttribute("aria-label", `Press again to remove ${profile.name} for good`);
      show(`Press again to remove ${profile.name} for good.`, { id: "remove" });
      setTimeout(() => {
        delete button.dataset.sure;
        button.classList.remove("bad");
      }, 4000);
      return;
    }
    try {
      await call(`/v1/profiles/${encodeURIComponent(profile.id)}`, { method: "DELETE" });
      await Promise.all([this.open(), this.voices.load()]);
    } catch (err) {
      show(tell(err), { mood: "bad", id: "profile" });
    }
  }
}

// Recording is the microphone into memory, unprocessed: what browsers do to speech would become part of the voice.
class Recording {
  #pieces = [];
  #length = 0;
  #speech = 0;

  async open(input) {
    if (!navigator.mediaDevices?.getUserMedia) throw Object.assign(new Error("no microphone without https"), { code: "unsecured" });
    const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    if (input) audio.deviceId = { exact: input };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule(new URL("voice.worklet.js", import.meta.url));
    const { port1, port2 } = new MessageChannel();
    const node = new AudioWorkletNode(this.context, "voice", { channelCount: 1, channelCountMode: "explicit", processorOptions: { chunk: 960 } });
    node.port.postMessage({ kind: "wire", port: port2 }, [port2]);
    port1.onmessage = ({ data }) => {
      this.#pieces.push(data.samples);
      this.#length += data.samples.length;
      if (rms(data.samples) > SPEECH) this.#speech += data.samples.length;
    };
    this.analyser = new AnalyserNode(this.context, { fftSize: 2048 });
    new MediaStreamAudioSourceNode(this.context, { mediaStream: this.stream }).connect(this.analyser).connect(node).connect(this.context.destination); // silent: nothing replies
    this.port = port1;
    await this.context.resume();
    return this;
  }

  get seconds() {
    return this.#length / this.context.sampleRate;
  }

  get speech() {
    return this.#speech / this.context.sampleRate;
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
    const rate = this.context.sampleRate;
    this.port.close();
    this.context.close();
    const samples = new Float32Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      samples.set(piece, at);
      at += piece.length;
    }
    return { samples, rate, advice: advise(samples, this.#speech / rate) };
  }
}

const rms = (samples) => Math.sqrt(samples.reduce((sum, v) => sum + v * v, 0) / samples.length);

function advise(samples, speech) {
  const peak = samples.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  if (peak > 0.99) return "too loud: it is clipped; move back or turn the microphone down";
  if (peak < 0.03) return "very quiet: come closer or turn the microphone up";
  if (speech < ENOUGH / 2) return "short: speak for ten seconds or more";
  return "";
}

function toggle(audio) {
  if (audio.paused) audio.play();
  else audio.pause();
}
