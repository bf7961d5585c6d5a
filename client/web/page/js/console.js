import { $, press, whisper } from "./dom.js";
import { clock } from "./figures.js";
import { canChooseOutput } from "./live.js";
import { Meter } from "./meter.js";
import { hide, show } from "./notices.js";
import { Player } from "./player.js";
import { set, settings } from "./settings.js";
import { Spectrum } from "./spectrum.js";
import { Stages } from "./stages.js";
import { Trip } from "./trip.js";
import { wav } from "./wav.js";
import { notice, tell } from "./words.js";

const STATES = { off: "Off", starting: "Starting…", live: "Live", lost: "Reconnecting…" };
const HYSTERESIS = 6; // dB between a gate's opening and closing
const STUMBLED = "This computer could not keep up with the sound card's shortest delay, so a longer one is used from now on. To try again, switch Longer delay off below.";
const REDRAW = 250; // ms between two looks at figures
const typing = (target) => target.matches?.("input:not([type=checkbox],[type=radio],[type=range]), select, textarea");

// Console is the live view: every control of the conversation, and what it shows of it.
export class Console {
  #in = new Meter($("in-meter"), $("in-db"));
  #out = new Meter($("out-meter"), $("out-db"));
  #seen = new Spectrum($("in-spectrum"), "in");
  #made = new Spectrum($("out-spectrum"), "out");
  #trip = new Trip();
  #stages = new Stages();
  #timing = null;
  #began = 0;
  #drawn = 0;
  #muted = false;
  #held = false; // the key or button to talk
  #player = null;

  constructor(live, voices) {
    Object.assign(this, { live, voices });
    this.#buttons();
    this.#keys();
    this.#shape();
    this.#devices();
    this.#listen();
    requestAnimationFrame((now) => this.#picture(now));
  }

  get #mix() {
    return { gain_db: settings.gain, dry_wet: settings.blend / 100 };
  }

  get #gate() {
    return { on: settings.gate, open_db: settings.threshold, close_db: Math.max(-90, settings.threshold - HYSTERESIS) };
  }

  get #monitoring() {
    return $("monitor").getAttribute("aria-pressed") === "true";
  }

  get #pitch() {
    return settings.pitch === "auto" ? "auto" : settings.semitones;
  }

  #buttons() {
    $("start").onclick = () => (this.live.state === "off" ? this.start() : this.live.stop());
    $("mute").onclick = () => this.#mute(!this.#muted);
    $("monitor").onclick = () => this.#monitor(!this.#monitoring);
    $("record").onclick = () => this.#record($("record").getAttribute("aria-pressed") !== "true");
    const talk = $("talk");
    talk.onpointerdown = (event) => (talk.setPointerCapture(event.pointerId), this.#hold(true));
    talk.onpointerup = talk.onpointercancel = () => this.#hold(false);
    talk.onkeydown = ({ key, repeat }) => key === "Enter" && !repeat && this.#hold(true);
    talk.onkeyup = ({ key }) => key === "Enter" && this.#hold(false);
  }

  #keys() {
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing(event.target) || $("view-live").hidden || document.querySelector("dialog[open]")) return;
      if (event.code === "Space" && settings.talk && this.live.state !== "off") {
        event.preventDefault();
        this.#hold(true);
        return;
      }
      const button = { m: "mute", h: "monitor", r: "record" }[event.key.toLowerCase()];
      if (button && !$(button).disabled) $(button).click();
    });
    addEventListener("keyup", (event) => {
      if (event.code !== "Space" || !this.#held) return;
      event.preventDefault();
      this.#hold(false);
    });
    addEventListener("blur", () => this.#held && this.#hold(false));
  }

  async start() {
    try {
      await this.live.start({
        ...this.voices.request,
        pitch: this.#pitch,
        mix: this.#mix,
        gate: this.#gate,
        monitor: this.#monitoring,
        steady: settings.steady,
        input: settings.input,
        output: settings.output,
        echo: settings.echo,
        noise: settings.noise,
        gain: settings.agc,
      });
    } catch (err) {
      if (err.name === "OverconstrainedError") set("input", "");
      show(tell(err), { mood: "bad", id: "start" });
    }
  }

  // restart opens the sound card anew.
  #restart() {
    if (this.live.state === "off") return;
    this.live.stop();
    this.start();
  }

  #steady() {
    set("steady", true);
    $("steady").checked = true;
    show(STUMBLED, { mood: "warn", id: "steady" });
    this.#restart();
  }

  #mute(on) {
    this.#muted = on;
    press($("mute"), on, { words: on ? "Muted" : "Mute" });
    this.#silence();
  }

  #hold(on) {
    this.#held = on;
    press($("talk"), on, { words: on ? "On the air" : "Hold to talk" });
    this.#silence();
  }

  #silence() {
    this.live.setMuted(this.#muted || (settings.talk && !this.#held));
  }

  #monitor(on) {
    press($("monitor"), on);
    this.live.update({ monitor: on });
  }

  #record(on) {
    press($("record"), on, { words: on ? "Recording" : "Record" });
    this.live.record(on);
    if (on) this.recordedSince = performance.now();
    whisper(on ? "Recording" : "Recording ended");
  }

  #shape() {
    const pitch = $("pitch");
    const show = () => {
      $("pitch-auto").checked = settings.pitch === "auto";
      pitch.disabled = settings.pitch === "auto";
      pitch.value = settings.semitones;
      $("pitch-value").textContent = settings.pitch === "auto" ? "automatic" : `${signed(settings.semitones)} semitones`;
      $("blend").value = settings.blend;
      $("blend-value").textContent = `${settings.blend} %`;
      $("gain").value = settings.gain;
      $("gain-value").textContent = `${signed(settings.gain)} dB`;
      $("gate").checked = settings.gate;
      $("threshold").value = settings.threshold;
      $("threshold").disabled = !settings.gate;
      $("threshold-value").textContent = settings.gate ? `below ${signed(settings.threshold)} dB` : "off";
    };
    pitch.oninput = () => (set("semitones", Number(pitch.value)), show(), this.live.update({ pitch_shift_semitones: this.#pitch }));
    $("pitch-auto").onchange = ({ target }) => (set("pitch", target.checked ? "auto" : "fixed"), show(), this.live.update({ pitch_shift_semitones: this.#pitch }));
    $("blend").oninput = ({ target }) => (set("blend", Number(target.value)), show(), this.live.update({ mix: this.#mix }));
    $("gain").oninput = ({ target }) => (set("gain", Number(target.value)), show(), this.live.update({ mix: this.#mix }));
    $("gate").onchange = ({ target }) => (set("gate", target.checked), show(), this.live.update({ gate: this.#gate }));
    $("threshold").oninput = ({ target }) => (set("threshold", Number(target.value)), show(), this.live.update({ gate: this.#gate }));
    show();
  }

  #devices() {
    const bind = (id, key, change) => {
      $(id).checked = settings[key];
      $(id).onchange = ({ target }) => (set(key, target.checked), change());
    };
    const treat = () => this.#change(() => this.live.setInput({ input: settings.input, echo: settings.echo, noise: settings.noise, gain: settings.agc }));
    for (const [id, key] of [["echo", "echo"], ["noise", "noise"], ["agc", "agc"]]) bind(id, key, treat);
    bind("talk-mode", "talk", () => this.#talkMode());
    bind("steady", "steady", () => this.#restart());
    $("input").onchange = ({ target }) => (set("input", target.value), treat());
    $("output").onchange = ({ target }) => (set("output", target.value), this.#change(() => this.live.setOutput(settings.output)));
    $("output").disabled = !canChooseOutput();
    $("output-note").hidden = canChooseOutput();
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#listDevices());
    this.#listDevices();
    this.#talkMode();
  }

  #talkMode() {
    $("talk").hidden = !settings.talk;
    this.#silence();
  }

  async #change(what) {
    try {
      await what();
    } catch (err) {
      show(tell(err), { mood: "bad", id: "device" });
    }
  }

  // Before the microphone was allowed, browsers name no devices.
  async #listDevices() {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    for (const [id, kind] of [["input", "audioinput"], ["output", "audiooutput"]]) {
      const named = devices.filter((d) => d.kind === kind && d.deviceId && d.deviceId !== "default" && d.deviceId !== "communications");
      $(id).replaceChildren(new Option("System default", ""), ...named.map((d) => new Option(d.label || "Unnamed device", d.deviceId)));
      $(id).value = named.some((d) => d.deviceId === settings[id]) ? settings[id] : "";
    }
  }

  #listen() {
    const on = (type, hear) => this.live.addEventListener(type, ({ detail }) => hear(detail));
    on("state", (state) => this.#state(state));
    on("ready", () => hide("gone"));
    on("timing", (timing) => (this.#timing = timing));
    on("trip", (played) => this.live.state !== "off" && this.#trip.played(played));
    on("figures", (figures) => this.#trip.figures(figures));
    on("notice", (n) => show(notice(n), { mood: "warn", id: n.code }));
    on("fault", (fault) => show(tell(fault), { mood: "bad", id: "live" }));
    on("stumbling", () => this.#steady());
    on("microphone", (track) => track && this.#listDevices());
    on("take", (take) => this.#compare(take));
    on("updated", ({ voice }) => this.voices.follow(voice));
    this.voices.addEventListener("choose", () => this.live.update(this.voices.request));
    this.voices.addEventListener("change", () => this.#nameVoice());
    this.voices.addEventListener("choose", () => this.#nameVoice());
  }

  #nameVoice() {
    $("out-name").textContent = this.voices.chosen?.name ?? "Voice";
  }

  #state(state) {
    const on = state !== "off";
    $("live-state").dataset.state = state;
    $("live-state").textContent = STATES[state];
    $("start").toggleAttribute("data-on", on);
    $("start").querySelector("span").textContent = on ? "Stop" : "Start";
    $("start").querySelector("use").setAttribute("href", on ? "#i-stop" : "#i-mic");
    for (const id of ["mute", "monitor", "record"]) $(id).disabled = !on;
    $("hint").hidden = on;
    if (state === "live" && !this.#began) this.#began = performance.now();
    if (!on) this.#ended();
    whisper(STATES[state]);
  }

  #ended() {
    this.#began = 0;
    this.#timing = null;
    this.#trip.clear();
    $("live-clock").textContent = "";
    press($("record"), false, { words: "Record" });
  }

  #picture(now) {
    const { said, heard } = this.live;
    this.#in.draw(said, now);
    this.#out.draw(heard, now);
    if (said) {
      this.#seen.draw(said, now);
      this.#made.draw(heard, now);
      if (now - this.#drawn > REDRAW) this.#figures(now);
    }
    requestAnimationFrame((next) => this.#picture(next));
  }

  #figures(now) {
    this.#drawn = now;
    if (this.#began) $("live-clock").textContent = clock((now - this.#began) / 1000);
    this.#trip.draw({ timing: this.#timing, ready: this.live.ready, devices: this.live.deviceDelay(), rate: this.live.context.sampleRate });
  }

  // watch shows the stages of one of the daemon's sessions: this page's own while it speaks.
  watch(status) {
    const ids = status.sessions.map(({ id }) => id);
    const own = ids.find((id) => this.live.isOwn(id));
    const pick = $("stages-session");
    const kept = ids.includes(pick.value) ? pick.value : "";
    if (document.activeElement !== pick) { // whoever is choosing would lose the list
      pick.replaceChildren(...status.sessions.map(({ id, voice }) => new Option(id === own ? `this page (${voice})` : `${id} (${voice})`, id)));
      pick.value = kept || own || ids[0] || "";
    }
    $("stages-pick").hidden = ids.length < 2;
    const session = status.sessions.find(({ id }) => id === pick.value);
    if (session) this.#stages.show(session);
  }

  #compare({ rate, input, output }) {
    const side = (name, colour, samples) => {
      const buffer = new AudioBuffer({ length: samples.length, sampleRate: rate });
      buffer.copyToChannel(samples, 0);
      return { name, side: colour, buffer, blob: wav(samples, rate), file: `${name.toLowerCase()}.wav` };
    };
    this.#player?.close();
    $("compare").hidden = false;
    this.#player = new Player($("compare-player"), [side("You", "in", input), side(this.voices.chosen?.name ?? "Voice", "out", output)]);
    whisper("The recording can be compared now");
  }
}

const signed = (v) => (v > 0 ? `+${v}` : String(v).replace("-", "−"));
