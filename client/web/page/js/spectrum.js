import { colour, fit } from "./dom.js";

const FLOOR = -95; // dB
const CEILING = -25;
const LOWEST = 60; // Hz
const HIGHEST = 12000;
const SPEED = 90; // CSS pixels a second

// Spectrum scrolls a spectrogram of an analyser through a canvas: time to the right, pitch upwards on the scale of the ear.
export class Spectrum {
  #bins = new Float32Array(0);
  #rows = [];
  #palette = null;
  #at = 0;

  constructor(canvas, side) {
    Object.assign(this, { canvas, side });
    document.addEventListener("theme", () => {
      this.#palette = null;
      this.clear();
    });
  }

  clear() {
    const ctx = fit(this.canvas);
    ctx?.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  draw(analyser, now) {
    const ctx = fit(this.canvas);
    if (!ctx || !analyser) {
      this.#at = now;
      return;
    }
    const step = Math.min(40, Math.floor(((now - this.#at) / 1000) * SPEED * ctx.scale));
    if (step < 1) return;
    this.#at = now;
    const { width, height } = this.canvas;
    this.#palette ??= palette(colour("raised"), colour(this.side), colour("text"));
    this.#read(analyser, height);
    ctx.globalCompositeOperation = "copy"; // what scrolls out at the left is not kept below
    ctx.drawImage(this.canvas, -step, 0);
    ctx.globalCompositeOperation = "source-over";
    const column = ctx.createImageData(1, height);
    for (let y = 0; y < height; y++) {
      const loud = (this.#bins[this.#rows[y]] - FLOOR) / (CEILING - FLOOR);
      column.data.set(this.#palette[Math.round(255 * Math.min(1, Math.max(0, loud)))], y * 4);
    }
    for (let x = width - step; x < width; x++) ctx.putImageData(column, x, 0);
  }

  #read(analyser, height) {
    const bins = analyser.frequencyBinCount;
    if (this.#bins.length !== bins) this.#bins = new Float32Array(bins);
    analyser.getFloatFrequencyData(this.#bins);
    if (this.#rows.length === height) return;
    const perBin = analyser.context.sampleRate / 2 / bins;
    const [low, high] = [mel(LOWEST), mel(HIGHEST)];
    this.#rows = Array.from({ length: height }, (_, y) => Math.min(bins - 1, Math.round(hz(high - ((high - low) * y) / (height - 1)) / perBin)));
  }
}

const mel = (f) => 1127 * Math.log(1 + f / 700);
const hz = (m) => 700 * (Math.exp(m / 1127) - 1);

// palette goes from the ground over the side's colour to the brightest, in 256 steps of RGBA.
function palette(...stops) {
  const ctx = new OffscreenCanvas(256, 1).getContext("2d");
  const gradient = ctx.createLinearGradient(0, 0, 255, 0);
  [0.08, 0.72, 1].forEach((at, i) => gradient.addColorStop(at, stops[i]));
  ctx.fillStyle = gradient;
  ctx.fillRect(0, 0, 256, 1);
  const { data } = ctx.getImageData(0, 0, 256, 1);
  return Array.from({ length: 256 }, (_, i) => data.slice(i * 4, i * 4 + 4));
}
