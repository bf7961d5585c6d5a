const FLOOR = -60;
const HOLD = 1.2; // seconds that a peak is shown
const share = (db) => Math.min(1, Math.max(0, 1 - db / FLOOR));

// Meter shows the level of an analyser: RMS as a bar, the peak of the last while as a line.
export class Meter {
  #samples = new Float32Array(2048);
  #peak = FLOOR;
  #peakAt = 0;
  #told = 0;

  constructor(box, text) {
    Object.assign(this, { box, text });
  }

  clear() {
    this.#peakAt = -Infinity;
    this.draw(null, performance.now());
  }

  // draw is called for every picture; now in ms. It gives the RMS in dB of full scale.
  draw(analyser, now) {
    let rms = FLOOR;
    let peak = FLOOR;
    if (analyser) {
      analyser.getFloatTimeDomainData(this.#samples);
      let sum = 0;
      let most = 0;
      for (const v of this.#samples) {
        sum += v * v;
        most = Math.max(most, Math.abs(v));
      }
      rms = Math.max(FLOOR, 10 * Math.log10(sum / this.#samples.length + 1e-12));
      peak = Math.max(FLOOR, 20 * Math.log10(most + 1e-6));
    }
    if (peak >= this.#peak || now - this.#peakAt > HOLD * 1000) [this.#peak, this.#peakAt] = [peak, now];
    this.box.style.setProperty("--rms", share(rms).toFixed(3));
    this.box.style.setProperty("--peak", share(this.#peak).toFixed(3));
    this.box.style.setProperty("--seen", this.#peak > FLOOR ? 1 : 0);
    this.box.toggleAttribute("data-clip", this.#peak > -0.2);
    if (now - this.#told > 200) {
      this.#told = now;
      this.box.setAttribute("aria-valuenow", Math.round(rms));
      if (this.text) this.text.textContent = this.#peak > FLOOR ? `${this.#peak.toFixed(0).replace("-", "−")} dB` : "–∞ dB";
    }
    return rms;
  }
}
