import { address, call } from "./api.js";
import { Fault, faultOf } from "./wire.js";

const CHUNK = 0.01; // seconds sent at a time
const TIMINGS = 10; // a second
const RETRIES = [0, 200, 500, 1000, 2000, 3000]; // ms before each attempt to get back; the last one over and over
const OPENING = 5000; // ms within which a sound card has to open; Firefox waits for one for ever
const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

const stopped = () => new DOMException("stopped", "AbortError");

// Live is the conversation: microphone, worklet, worker, daemon, headphones. It tells what happens by events:
// "state" (off, starting, live, lost), "ready", "timing", "notice", "fault", "trip", "take", "microphone",
// "stumbling" (the sound card's buffer is too short for this computer).
export class Live extends EventTarget {
  state = "off";
  ready = null;
  context = null;
  muted = false;
  #worker = null;
  #node = null;
  #source = null;
  #track = null;
  #choice = null;
  #retry = 0;
  #lostAt = 0;
  #timer = 0;
  #awake = null;

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #become(state) {
    this.state = state;
    this.#tell("state", state);
    this.#stayAwake(state !== "off");
  }

  // A phone that darkens its screen takes the microphone away.
  async #stayAwake(on) {
    const lock = this.#awake;
    this.#awake = on ? (lock ?? navigator.wakeLock?.request("screen").catch(() => null)) : null; // it may be refused
    if (!on) (await lock)?.release();
  }

  // start opens everything. choice is {voice|profile, pitch, mix, gate, monitor, steady, input, output, echo, noise, gain}. It throws what tell() can tell.
  async start(choice) {
    if (this.state !== "off") return;
    this.#choice = choice;
    this.#become("starting");
    const gone = () => this.#choice !== choice || this.state === "off"; // stopped meanwhile, and perhaps started again
    try {
      await this.#openContext();
      await this.#openMicrophone();
      await call("/v1/status"); // a socket cannot say why it is refused; this can
      if (!gone()) this.#openStream();
    } catch (err) {
      if (gone()) return;
      this.stop();
      throw err;
    }
  }

  async #openContext() {
    const latencyHint = this.#choice.steady ? "interactive" : 0; // in seconds: the shortest that the sound card can do
    let context = new AudioContext({ latencyHint });
    if (context.sampleRate > 48000 || context.sampleRate < 8000) {
      await context.close(); // the protocol ends at 48 kHz; the browser resamples at the sound card
      context = new AudioContext({ latencyHint, sampleRate: 48000 });
    }
    this.context = context;
    await context.audioWorklet.addModule(new URL("voice.worklet.js", import.meta.url));
    if (this.context !== context) throw stopped();
    const node = new AudioWorkletNode(context, "voice", {
      channelCount: 1,
      channelCountMode: "explicit",
      outputChannelCount: [1],
      processorOptions: { chunk: Math.round(context.sampleRate * CHUNK) },
    });
    node.port.onmessage = ({ data }) => this.#tell("trip", data);
    node.onprocessorerror = () => this.#fail(new Fault("internal", "the page's audio thread failed; reload the page"));
    this.heard = new AnalyserNode(context, { fftSize: 2048, smoothingTimeConstant: 0 });
    this.said = new AnalyserNode(context, { fftSize: 2048, smoothingTimeConstant: 0 });
    this.said.connect(node).connect(this.heard).connect(context.destination);
    this.#node = node;
    this.setMuted(this.muted);
    if (this.#choice.output) await this.setOutput(this.#choice.output).catch(() => {}); // gone since: the default one plays
    await Promise.race([context.resume(), new Promise((done) => setTimeout(done, OPENING))]);
    if (this.context !== context) throw stopped();
    if (context.state === "suspended") throw new Fault("no_output", "the browser opens no sound output; plug in headphones, or choose others below");
  }

  async #openMicrophone() {
    if (!navigator.mediaDevices?.getUserMedia) throw new Fault("unsecured", "no microphone without https");
    const context = this.context;
    const { input, echo, noise, gain } = this.#choice;
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: {
        ...(input && { deviceId: { exact: input } }),
        channelCount: 1,
        latency: 0,
        echoCancellation: Boolean(echo),
        noiseSuppression: Boolean(noise),
        autoGainControl: Boolean(gain),
      },
    });
    if (this.context !== context) {
      for (const track of stream.getTracks()) track.stop(); // stopped while the browser was asking
      throw stopped();
    }
    this.#closeMicrophone();
    [this.#track] = stream.getAudioTracks();
    this.#source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
    this.#source.connect(this.said);
    this.#track.onended = () => {
      this.#tell("fault", new Fault("", "the microphone has gone; plug it in again, or choose another one below"));
      this.#tell("microphone", null);
    };
    this.#tell("microphone", this.#track);
  }

  #closeMicrophone() {
    this.#source?.disconnect();
    if (this.#track) this.#track.onended = null;
    this.#track?.stop();
    this.#source = this.#track = null;
  }

  #openStream() {
    const { port1, port2 } = new MessageChannel();
    this.#worker = new Worker(new URL("stream.worker.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#worker.onerror = (event) => this.#fail(new Fault("internal", event.message || "the page's worker failed; reload the page"));
    this.#worker.postMessage({ kind: "port", port: port1 }, [port1]);
    this.#node.port.postMessage({ kind: "wire", port: port2 }, [port2]);
    this.#connect(null);
  }

  #connect(resume) {
    const { voice, profile, pitch, mix, gate, monitor } = this.#choice;
    const start = {
      ...(profile ? { profile } : voice ? { voice } : {}),
      format: { encoding: LOCAL.includes(location.hostname) ? "f32le" : "s16le", rate: this.context.sampleRate, channels: 1 },
      pitch_shift_semitones: pitch,
      mix,
      gate,
      monitor,
      timings: TIMINGS,
      ...(resume && { resume }),
    };
    this.#worker.postMessage({ kind: "open", url: address("/v1/stream", { ws: true }), start });
  }

  #hear({ kind, message, ...data }) {
    if (kind === "figures") this.#tell("figures", data);
    if (kind === "take") this.#tell("take", data);
    if (kind === "stumbling" && !this.#choice.steady) this.#tell("stumbling");
    if (kind === "closed") this.#closed();
    if (kind !== "message") return;
    if (message.type === "ready") {
      this.ready = message;
      this.#retry = 0;
      this.#tell("ready", message);
      this.#become("live");
    } else if (message.type === "error") {
      this.#refused(message);
    } else {
      this.#tell(message.type, message);
    }
  }

  #refused(message) {
    const fault = faultOf(message);
    if (message.fatal && !message.retryable && this.state === "lost" && this.ready) {
      this.ready = null; // what we wanted to resume is gone: the next attempt begins anew
      this.#lostAt = 0;
      return;
    }
    if (message.fatal && (!message.retryable || this.state === "starting")) this.#fail(fault);
    else if (message.code === "unsupported" && ["voice", "profile"].includes(message.param)) this.#reopen();
    else this.#tell("fault", fault);
  }

  // isOwn says whether the daemon's status means this conversation by an id: the token to come back with begins with it.
  isOwn(id) {
    return this.ready !== null && `${this.ready.session}-`.startsWith(`${id}-`);
  }

  // reopen begins another stream, for a voice that cannot be changed to in mid-stream.
  #reopen() {
    this.#worker.postMessage({ kind: "close" });
    this.#connect(null);
  }

  // closed: the socket went without being asked to.
  #closed() {
    if (this.state === "off") return;
    if (this.state === "starting") {
      this.#fail(new Fault("", "the daemon closed the conversation before it began; its log may say why"));
      return;
    }
    if (this.state !== "lost") {
      this.#lostAt = performance.now();
      this.#become("lost");
    }
    const wait = RETRIES[Math.min(this.#retry++, RETRIES.length - 1)];
    this.#timer = setTimeout(() => this.#return(), wait);
  }

  async #return() {
    try {
      await call("/v1/status");
    } catch (err) {
      if (this.state === "lost") err.retryable ? this.#closed() : this.#fail(err);
      return;
    }
    if (this.state !== "lost") return;
    const kept = performance.now() - this.#lostAt < (this.ready?.resume_seconds ?? 0) * 1000;
    this.#connect(kept ? this.ready.session : null);
  }

  #fail(fault) {
    this.stop();
    this.#tell("fault", fault);
  }

  stop() {
    if (this.state === "off") return;
    clearTimeout(this.#timer);
    this.#worker?.postMessage({ kind: "say", message: { type: "stop" } });
    this.#worker?.postMessage({ kind: "close" });
    const worker = this.#worker;
    setTimeout(() => worker?.terminate(), 500);
    this.#worker = null;
    this.#node?.port.postMessage({ kind: "end" });
    this.#closeMicrophone();
    this.context?.close();
    this.context = this.#node = this.said = this.heard = this.ready = null;
    this.#become("off");
    this.#tell("microphone", null);
  }

  // update changes the voice while it speaks; the fields are those of the protocol's update.
  update(fields) {
    if (!this.#choice) return;
    if ("voice" in fields) Object.assign(this.#choice, { voice: fields.voice, profile: undefined });
    if ("profile" in fields) Object.assign(this.#choice, { profile: fields.profile, voice: undefined });
    if ("pitch_shift_semitones" in fields) this.#choice.pitch = fields.pitch_shift_semitones;
    for (const key of ["mix", "gate", "monitor"]) if (key in fields) this.#choice[key] = fields[key];
    this.#worker?.postMessage({ kind: "say", message: { type: "update", ...fields } });
  }

  // setMuted keeps the microphone from leaving this page; the stream goes on with silence.
  setMuted(on) {
    this.muted = on;
    this.#node?.port.postMessage({ kind: "mute", on });
  }

  // setInput changes the microphone, or how it is treated, without a pause in the stream.
  async setInput(choice) {
    if (!this.#choice) return;
    Object.assign(this.#choice, choice);
    if (this.context) await this.#openMicrophone();
  }

  async setOutput(id) {
    await this.context?.setSinkId?.(id === "default" ? "" : id);
  }

  record(on) {
    this.#worker?.postMessage({ kind: "record", on });
  }

  // deviceDelay is what the browser says of its sound cards, in ms: {input, output}, null where it says nothing.
  deviceDelay() {
    const input = this.#track?.getSettings().latency;
    const output = this.context ? this.context.baseLatency + (this.context.outputLatency || 0) : undefined;
    return { input: input === undefined ? null : input * 1000, output: output === undefined ? null : output * 1000 };
  }
}

export const canChooseOutput = () => "setSinkId" in AudioContext.prototype;
