import { colour, el, fit, icon } from "./dom.js";
import { clock } from "./figures.js";

const FADE = 0.012; // seconds of crossfade between the sides

let playing = null; // one at a time

// Player lets two recordings of the same length be heard against each other: one clock, and a switch that only fades from one to the other.
// sides are [{name, side, buffer, file, blob}], one or two; side names the colour, file and blob what can be downloaded.
export class Player {
  #context = null;
  #sources = [];
  #gains = [];
  #from = 0; // position in seconds
  #since = 0; // context time at which #from was
  #frame = 0;
  #links = [];

  constructor(box, sides) {
    this.sides = sides;
    this.duration = Math.max(...sides.map(({ buffer }) => buffer.duration));
    this.heard = sides.length - 1;
    this.#build(box);
    this.onTheme = () => this.#draw();
    document.addEventListener("theme", this.onTheme);
    this.resized = new ResizeObserver(() => this.#draw());
    this.resized.observe(this.canvas);
  }

  #build(box) {
    this.canvas = el("canvas", { role: "img", "aria-label": `Waveforms: ${this.sides.map(({ name }) => name).join(" above ")}` });
    this.button = el("button", { type: "button", class: "tool small", "aria-label": "Play", onclick: () => (this.#sources.length ? this.pause() : this.play()) }, icon("play"));
    this.seek = el("input", { type: "range", min: 0, max: this.duration, step: 0.01, value: 0, "aria-label": "Position", oninput: () => this.#jump(Number(this.seek.value)) });
    this.clock = el("span", { class: "clock" });
    const row = el("div", { class: "row" }, this.button);
    if (this.sides.length > 1) row.append(this.#choice());
    row.append(this.seek, this.clock, ...this.#downloads());
    box.replaceChildren(el("div", { class: "player" }, this.canvas, row));
    this.canvas.addEventListener("pointerdown", ({ offsetX }) => this.#jump((offsetX / this.canvas.clientWidth) * this.duration));
    this.#show();
  }

  #choice() {
    const group = `side-${Math.random().toString(36).slice(2)}`;
    return el(
      "div",
      { class: "ab", role: "radiogroup", "aria-label": "What is heard" },
      ...this.sides.map(({ name }, i) => el("label", {}, el("input", { type: "radio", name: group, checked: i === this.heard, onchange: () => this.#hear(i) }), name)),
    );
  }

  #downloads() {
    return this.sides
      .filter(({ blob }) => blob)
      .map(({ name, blob, file }) => {
        const href = URL.createObjectURL(blob);
        this.#links.push(href);
        return el("a", { class: "tool small", href, download: file, "aria-label": `Download ${file}` }, icon("download"), name);
      });
  }

  #hear(i) {
    this.heard = i;
    this.#gains.forEach((gain, k) => gain.gain.setTargetAtTime(k === i ? 1 : 0, this.#context.currentTime, FADE / 3));
    this.#draw();
  }

  play() {
    playing?.pause();
    playing = this;
    this.#context ??= new AudioContext();
    this.#context.resume();
    if (this.#from >= this.duration - 0.05) this.#from = 0;
    this.#since = this.#context.currentTime + 0.02;
    this.sides.forEach(({ buffer }, i) => {
      const source = new AudioBufferSourceNode(this.#context, { buffer });
      const gain = new GainNode(this.#context, { gain: i === this.heard ? 1 : 0 });
      source.connect(gain).connect(this.#context.destination);
      source.start(this.#since, Math.min(this.#from, buffer.duration));
      this.#sources.push(source);
      this.#gains.push(gain);
    });
    this.#signs("pause", "Pause");
    this.#tick();
  }

  pause() {
    this.#from = this.position;
    for (const source of this.#sources) source.stop();
    this.#sources = [];
    this.#gains = [];
    if (playing === this) playing = null;
    cancelAnimationFrame(this.#frame);
    this.#signs("play", "Play");
    this.#show();
  }

  #signs(sign, words) {
    this.button.replaceChildren(icon(sign));
    this.button.setAttribute("aria-label", words);
  }

  get position() {
    const gone = this.#sources.length ? Math.max(0, this.#context.currentTime - this.#since) : 0;
    return Math.min(this.duration, this.#from + gone);
  }

  #jump(seconds) {
    const was = this.#sources.length > 0;
    if (was) this.pause();
    this.#from = Math.min(Math.max(0, seconds), this.duration);
    if (was) this.play();
    else this.#show();
  }

  #tick() {
    this.#show();
    if (this.position >= this.duration) {
      this.pause();
      this.#from = 0;
      this.#show();
      return;
    }
    this.#frame = requestAnimationFrame(() => this.#tick());
  }

  #show() {
    this.seek.value = this.position;
    this.seek.setAttribute("aria-valuetext", `${clock(this.position)} of ${clock(this.duration)}`);
    this.clock.textContent = `${clock(this.position)} / ${clock(this.duration)}`;
    this.#draw();
  }

  #draw() {
    const ctx = fit(this.canvas);
    if (!ctx) return;
    const { width, height } = this.canvas;
    ctx.clearRect(0, 0, width, height);
    const lane = height / this.sides.length;
    this.sides.forEach((side, i) => {
      if (side.peaks?.length !== width) side.peaks = peaks(side.buffer, width, this.duration);
      ctx.fillStyle = colour(side.side);
      ctx.globalAlpha = i === this.heard ? 1 : 0.45;
      const middle = lane * (i + 0.5);
      for (let x = 0; x < width; x++) {
        const h = Math.max(ctx.scale / 2, side.peaks[x] * (lane / 2 - 3 * ctx.scale));
        ctx.fillRect(x, middle - h, 1, 2 * h);
      }
    });
    ctx.globalAlpha = 1;
    ctx.fillStyle = colour("text");
    ctx.fillRect((this.position / this.duration) * (width - 2 * ctx.scale), 0, 2 * ctx.scale, height);
  }

  close() {
    if (this.#sources.length) this.pause();
    this.#context?.close();
    this.resized.disconnect();
    document.removeEventListener("theme", this.onTheme);
    for (const href of this.#links) URL.revokeObjectURL(href);
  }
}

// peaks are the largest values of each of n parts of duration, of the loudest channel.
export function peaks(buffer, n, duration = buffer.duration) {
  const out = new Float32Array(n);
  const per = (duration * buffer.sampleRate) / n;
  for (let c = 0; c < buffer.numberOfChannels; c++) {
    const samples = buffer.getChannelData(c);
    for (let i = 0; i < n; i++) {
      const end = Math.min(samples.length, Math.ceil((i + 1) * per));
      for (let k = Math.floor(i * per); k < end; k++) out[i] = Math.max(out[i], Math.abs(samples[k]));
    }
  }
  return out;
}
