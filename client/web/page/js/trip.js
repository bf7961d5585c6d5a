import { $, el } from "./dom.js";
import { Figures, number } from "./figures.js";

const PARTS = [
  ["microphone", "--in", "microphone"],
  ["voice", "--algorithm", "the voice's delay"],
  ["compute", "--conversion", "computing"],
  ["transport", "--f0_extraction", "transport"],
  ["buffer", "--mixing", "buffer"],
  ["headphones", "--out", "headphones"],
];

// Trip is the round trip, measured by capture time: on the audio thread's clock from the microphone's sample to its reply in the
// headphones. What the sound cards add outside of it, the browser only reports.
export class Trip {
  #inside = new Figures(); // ms, worklet to worklet
  #socket = new Figures(); // ms, from sending a chunk to the reply that begins with it
  #level = new Figures(); // ms in the buffer
  #counts = null;
  #lost = 0;

  clear() {
    for (const figures of [this.#inside, this.#socket, this.#level]) figures.clear();
    [this.#counts, this.#lost] = [null, 0];
  }

  played({ trips, level, counts }) {
    this.#inside.add(trips.map((us) => us / 1000));
    this.#level.add([level * 1000]);
    this.#counts = counts;
  }

  figures({ trips, lost }) {
    this.#socket.add(trips);
    this.#lost = lost;
  }

  // draw shows what is known. timing is the daemon's, ready its answer to start, devices what the browser says of the sound cards.
  draw({ timing, ready, devices, rate }) {
    const inside = this.#inside.percentiles(0.5, 0.95, 0.99);
    if (!inside) return;
    const outside = (devices.input ?? 0) + (devices.output ?? 0);
    const [p50, p95, p99] = inside.map((ms) => ms + outside);
    $("trip-p50").textContent = Math.round(p50);
    $("trip-p95").textContent = `${Math.round(p95)} ms`;
    $("trip-p99").textContent = `${Math.round(p99)} ms`;
    Object.assign($("trip-p50").dataset, { p50: p50.toFixed(2), p99: p99.toFixed(2), inside50: inside[0].toFixed(2), inside99: inside[2].toFixed(2), count: this.#inside.count });
    $("trip-dry").textContent = `${this.#counts.underruns}×`;
    $("trip-lost").textContent = this.#lost + this.#counts.skipped ? `${number((this.#lost + this.#counts.skipped) / rate)} s` : "none";
    this.#drawParts(this.#parts(inside[0], timing, ready, devices), p50);
  }

  // parts split the median: what is measured by itself is shown as such, and the rest is what lies between.
  #parts(inside, timing, ready, devices) {
    const [buffer] = this.#level.percentiles(0.5) ?? [0];
    const [socket] = this.#socket.percentiles(0.5) ?? [inside - buffer];
    const chunk = ready?.chunk_ms ?? 0;
    const voice = Math.min(ready?.algorithmic_latency_ms ?? 0, inside);
    const spent = timing ? spentOn(timing) / 1000 : 0;
    const compute = Math.max(0, Math.min(spent, socket - (voice - chunk)));
    return {
      microphone: devices.input,
      voice,
      compute,
      buffer,
      transport: Math.max(0, inside - voice - compute - buffer),
      headphones: devices.output,
    };
  }

  #drawParts(parts, total) {
    const shown = PARTS.filter(([key]) => parts[key] != null);
    $("trip-parts").replaceChildren(
      ...shown.map(([key, colour]) => {
        const bar = el("i");
        bar.style.setProperty("--colour", `var(${colour})`);
        bar.style.setProperty("--share", `${((100 * parts[key]) / total).toFixed(1)}%`);
        return bar;
      }),
    );
    const words = shown.map(([key, , name]) => `${name} ${number(parts[key])} ms`);
    $("trip-parts").setAttribute("aria-label", `Parts of the round trip: ${words.join(", ")}`);
    $("trip-legend").replaceChildren(
      ...shown.map(([key, colour, name]) => {
        const item = el("li", { "data-part": key }, `${name} `, el("b", {}, number(parts[key])));
        item.style.setProperty("--colour", `var(${colour})`);
        return item;
      }),
    );
  }
}

// spentOn adds up small times. The total less the time of capturing is the same, and lost in the rounding of both.
const spentOn = ({ stages, waits }) =>
  [waits?.compute_us, waits?.sink_us, waits?.delivery_us, ...stages.map(({ wait_us }) => wait_us)].reduce((us, times) => us + p50(times), 0);

const p50 = (times) => times?.recent?.p50 ?? times?.p50 ?? 0;
