import { Playout } from "./playout.js";

const REPORT = 0.1; // seconds between reports to the page
const RAMP = 0.005; // seconds of fading when muted

// Voice is both ends of the conversation in one place on the audio thread: its input is the microphone, its output the headphones.
// So both share one clock, the context's, and a round trip is measured to the sample. Audio goes to and from the stream's worker
// over a port of its own, past the page's thread: a busy page delays no sound.
class Voice extends AudioWorkletProcessor {
  constructor({ processorOptions: { chunk } }) {
    super();
    this.size = chunk; // samples
    this.chunk = new Float32Array(chunk);
    this.filled = 0;
    this.captured = 0;
    this.gain = 1;
    this.muted = false;
    this.live = true;
    this.wire = null;
    this.playout = new Playout(sampleRate);
    this.reported = 0;
    this.port.onmessage = ({ data }) => this.obey(data);
  }

  obey({ kind, port, on }) {
    if (kind === "mute") this.muted = on;
    if (kind === "reset") this.playout.reset();
    if (kind === "end") this.live = false;
    if (kind === "wire") {
      this.wire = port;
      port.onmessage = ({ data }) => this.playout.push(data.samples, data.captured, data.broken, currentFrame);
    }
  }

  process([input], [output]) {
    if (this.wire) this.capture(input[0], output[0].length);
    this.playout.pull(output[0], currentFrame);
    for (let c = 1; c < output.length; c++) output[c].set(output[0]);
    if (currentTime - this.reported >= REPORT) this.report();
    return this.live;
  }

  // capture cuts the microphone into chunks. While there is none it is silent: time goes on.
  capture(samples, n) {
    const step = 1 / (RAMP * sampleRate);
    for (let i = 0; i < n; i++) {
      if (this.filled === 0) this.captured = Math.round(((currentFrame + i) / sampleRate) * 1e6);
      this.gain = Math.min(1, Math.max(0, this.gain + (this.muted ? -step : step)));
      this.chunk[this.filled++] = samples ? samples[i] * this.gain : 0;
      if (this.filled < this.size) continue;
      this.wire.postMessage({ captured: this.captured, samples: this.chunk }, [this.chunk.buffer]);
      this.chunk = new Float32Array(this.size);
      this.filled = 0;
    }
  }

  report() {
    this.reported = currentTime;
    const { level, counts, trips } = this.playout;
    this.port.postMessage({ level, counts: { ...counts }, trips });
    this.playout.trips = [];
  }
}

registerProcessor("voice", Voice);
