import { Ring } from "./ring.js";

// Times in seconds. Delay is what we fight: the buffer holds just what the jitter of late has needed.
const CAPACITY = 2;
const MARGIN = 0.003; // the least that stays in the buffer when the next reply is as late as it has been of late
const MARGIN_MAX = 0.1;
const MARGIN_FADE = 30; // a margin learnt from a late reply is forgotten with this time constant
const OUTAGE = 0.25; // longer than this is not jitter but an interruption
const TOO_MUCH = 0.3; // as much more than needed is skipped at once: it is what an interruption left behind
const WINDOW = 0.5; // the low-water mark is that of the last one to two windows
const SLACK = 0.0015; // not worth a cut
const OVERLAP = 0.003;
const SHORTEST_CUT = 0.002;
const LONGEST_CUT = 0.015; // one period of the deepest voice
const REST = 0.06; // between two cuts in a voice, which is sped up by a tenth then
const PATIENCE = 3; // so long only good joints are taken; longer where it is little
const LITTLE = 0.01;
const GOOD_JOINT = 0.75; // correlation
const SILENCE = 10 ** (-50 / 20);
const FADE = 0.002;
const DECAY = 0.98; // a sample, of what is cut off

// Playout is the jitter buffer between replies and headphones. It plays what it has; runs dry softly; learns from that how much to
// keep; and gives back what it no longer needs, by cutting silence where there is some and whole periods of the voice where there is not.
// push and pull may be called in any sizes, from one thread.
export class Playout {
  constructor(rate) {
    this.rate = rate;
    this.ring = new Ring(Math.ceil(CAPACITY * rate));
    this.trips = []; // µs from capture to playout, of replies whose first sample was played; the user empties it
    this.counts = { underruns: 0, dry: 0, cuts: 0, cut: 0, skipped: 0 }; // samples, but for the numbers of underruns and cuts
    this.reset();
  }

  // reset forgets the signal and what was learnt from it.
  reset() {
    this.ring.skip(this.ring.length);
    this.marks = [];
    this.margin = MARGIN;
    this.playing = false;
    this.wait = MARGIN * this.rate; // silence before the first sample
    this.driedAt = -1;
    this.last = 0;
    this.fade = 0;
    this.spareFor = 0;
    this.rest = 0;
    this.overlapped = new Float32Array(Math.round(OVERLAP * this.rate));
    this.lows = [0, 0]; // of the window before and of this one; 0 until known
    this.left = WINDOW * this.rate;
    this.low = Infinity;
  }

  // level is what waits, in seconds.
  get level() {
    return this.ring.length / this.rate;
  }

  // push takes a reply. captured is the capture time in µs of its first sample, on the clock that pull is told; broken says that
  // something is missing before it. now is the position in samples of the next pull.
  push(samples, captured, broken, now) {
    if (samples.length === 0) return;
    if (this.driedAt >= 0) {
      const late = (now - this.driedAt) / this.rate;
      if (late < OUTAGE) this.margin = Math.min(MARGIN_MAX, this.margin + late);
      this.driedAt = -1;
    }
    if (broken && this.ring.length > 0) this.soften(samples);
    this.marks.push({ at: this.ring.write, captured });
    this.counts.skipped += this.ring.push(samples);
    const much = this.ring.length - Math.ceil((TOO_MUCH + this.margin) * this.rate);
    if (much > 0 && this.playing) this.join(this.ring.length - Math.ceil(this.margin * this.rate) - samples.length, "skipped");
  }

  // soften lets what waits end and what comes begin without a click.
  soften(samples) {
    const n = Math.min(Math.round(FADE * this.rate), this.ring.length, samples.length);
    for (let i = 0; i < n; i++) {
      const at = this.ring.length - 1 - i;
      this.ring.set(at, (this.ring.at(at) * i) / n);
      samples[i] *= i / n;
    }
  }

  // pull fills out, whose first sample is played at position now.
  pull(out, now) {
    if (!this.playing && !this.begins(out.length)) {
      this.trail(out, 0);
      return;
    }
    this.shorten(out.length);
    const first = this.ring.read;
    const n = this.ring.shift(out, out.length);
    this.book(first, n, now);
    this.fadeIn(out, n);
    if (n > 0 && this.fade >= FADE * this.rate) this.last = out[n - 1];
    if (n < out.length) this.ranDry(out, n, now);
    else this.watch(out.length);
  }

  begins(n) {
    if (this.ring.length === 0) return false;
    if (this.wait > 0) {
      this.wait -= n;
      return false;
    }
    this.playing = true;
    this.fade = 0;
    return true;
  }

  // fadeIn begins again under what still dies away.
  fadeIn(out, n) {
    const ramp = FADE * this.rate;
    for (let i = 0; i < n && this.fade < ramp; i++) out[i] = (out[i] * this.fade++) / ramp + (this.last *= DECAY);
  }

  ranDry(out, n, now) {
    this.trail(out, n);
    this.counts.underruns++;
    this.driedAt = now + n;
    this.playing = false;
    this.wait = 0; // the delay has grown by the time that it was dry: no need for more
    this.lows = [0, 0];
    this.low = Infinity;
    this.left = WINDOW * this.rate;
  }

  // trail lets the last sample die away instead of stopping it.
  trail(out, from) {
    for (let i = from; i < out.length; i++) out[i] = this.last *= DECAY;
    if (this.driedAt >= 0) this.counts.dry += out.length - from;
  }

  // book measures the trips of the replies that begin among the n samples from position first.
  book(first, n, now) {
    while (this.marks.length > 0 && this.marks[0].at < first + n) {
      const { at, captured } = this.marks.shift();
      if (at >= first && this.trips.length < 256) this.trips.push(((now + at - first) / this.rate) * 1e6 - captured);
    }
  }

  // watch follows the low-water mark.
  watch(n) {
    this.margin = MARGIN + (this.margin - MARGIN) * Math.exp(-n / this.rate / MARGIN_FADE);
    this.low = Math.min(this.low, this.ring.length);
    this.left -= n;
    if (this.left > 0) return;
    this.lows = [this.lows[1], this.low];
    this.low = Infinity;
    this.left = WINDOW * this.rate;
  }

  // shorten gives back delay that nothing has needed for a while; the next quantum must stay.
  shorten(quantum) {
    const spare = Math.min(this.lows[0], this.lows[1], this.low) - this.margin * this.rate;
    if (spare < SLACK * this.rate) {
      this.spareFor = 0;
      return;
    }
    this.spareFor += quantum / this.rate;
    this.rest -= quantum / this.rate;
    const room = this.ring.length - quantum - Math.round(OVERLAP * this.rate);
    const most = Math.floor(Math.min(spare, room));
    if (most < 1) return;
    if (this.quiet(most)) this.join(most, "cut");
    else if (this.rest <= 0) this.cutPeriod(Math.min(most, Math.round(LONGEST_CUT * this.rate)));
  }

  quiet(n) {
    for (let i = 0; i < n + OVERLAP * this.rate; i++) if (Math.abs(this.ring.at(i)) > SILENCE) return false;
    return true;
  }

  // cutPeriod takes out the length, up to most, after which the signal is most like itself.
  cutPeriod(most) {
    const overlap = Math.round(OVERLAP * this.rate);
    let best = 0;
    let score = this.spareFor > PATIENCE && most > LITTLE * this.rate ? -1 : GOOD_JOINT;
    for (let lag = Math.round(SHORTEST_CUT * this.rate); lag <= most; lag += 2) {
      let xy = 1e-9;
      let xx = 1e-9;
      let yy = 1e-9;
      for (let i = 0; i < overlap; i += 2) {
        const x = this.ring.at(i);
        const y = this.ring.at(lag + i);
        xy += x * y;
        xx += x * x;
        yy += y * y;
      }
      const likeness = xy / Math.sqrt(xx * yy);
      if (likeness > score) [best, score] = [lag, likeness];
    }
    if (best === 0) return;
    this.join(best, "cut");
    this.rest = REST;
  }

  // join leaves out the next n samples, with a crossfade.
  join(n, counter) {
    const overlap = Math.min(this.overlapped.length, this.ring.length - n);
    if (n <= 0 || overlap <= 0) return;
    for (let i = 0; i < overlap; i++) this.overlapped[i] = this.ring.at(i); // before any is replaced: n may be less than overlap
    for (let i = 0; i < overlap; i++) {
      const w = (i + 1) / (overlap + 1);
      this.ring.set(n + i, this.overlapped[i] * (1 - w) + this.ring.at(n + i) * w);
    }
    this.ring.skip(n);
    this.counts[counter] += n;
    if (counter === "cut") this.counts.cuts++;
    this.lows = this.lows.map((low) => Math.max(0, low - n));
    this.low -= n;
  }
}
