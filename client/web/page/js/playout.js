import { Ring } from "./ring.js";

// Times in seconds. Delay is what we fight: a reply is played as late as the latest replies of late have come, and no later.
const CAPACITY = 2;
const MARGIN = 0.003; // on top of that; the audio thread takes its turns every 2.7 ms
const BUCKET = 0.25; // of each, the latest reply is remembered
const BUCKETS = 32;
const OUTLIERS = 2; // buckets among these, that may run dry rather than be waited for: one hiccup, which may touch two of them
const MOST = 0.15; // later than the most punctual bucket is not waited for: delay is worse than a gap
const GUESS = 0.006; // jitter while little is known
const KNOWN = 4; // buckets
const TOO_LATE = 0.3; // more than this is what an interruption left behind: it is skipped at once
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

// Playout is the jitter buffer between replies and headphones. It plays what it has; runs dry softly; learns from how late replies
// come how much to keep; and gives back what it no longer needs, by cutting silence where there is some and whole periods of the
// voice where there is not. push and pull may be called in any sizes, from one thread.
export class Playout {
  constructor(rate) {
    this.rate = rate;
    this.ring = new Ring(Math.ceil(CAPACITY * rate));
    this.overlapped = new Float32Array(Math.round(OVERLAP * rate));
    this.trips = []; // µs from capture to playout, of replies whose first sample was played; the user empties it
    this.counts = { underruns: 0, dry: 0, cuts: 0, cut: 0, skipped: 0 }; // samples, but for the numbers of underruns and cuts
    this.reset();
  }

  // reset forgets the signal and what was learnt from it.
  reset() {
    this.ring.skip(this.ring.length);
    this.marks = []; // {at, captured}: which sample that waits was captured when
    this.head = null; // the mark of what is played
    this.playing = false;
    this.dry = false;
    this.last = 0;
    this.fade = 0;
    this.spareFor = 0;
    this.rest = 0;
    this.latest = []; // of each bucket, in samples between capture and arrival
    this.bucketEnds = -Infinity;
    this.due = 0; // samples between capture and playout that are aimed at
  }

  // level is what waits, in seconds.
  get level() {
    return this.ring.length / this.rate;
  }

  // push takes a reply. captured is the capture time in µs of its first sample, on the clock that pull is told; broken says that
  // something is missing before it. now is the position in samples of the next pull.
  push(samples, captured, broken, now) {
    if (samples.length === 0) return;
    this.learn(now - this.position(captured), now);
    if (broken && this.ring.length > 0) this.soften(samples);
    this.marks.push({ at: this.ring.write, captured });
    this.counts.skipped += this.ring.push(samples);
  }

  position(captured) {
    return (captured / 1e6) * this.rate;
  }

  // learn keeps the latest arrivals, and aims at the latest of them but for outliers.
  learn(late, now) {
    if (now >= this.bucketEnds) {
      this.latest.push(late);
      if (this.latest.length > BUCKETS) this.latest.shift();
      this.bucketEnds = now + BUCKET * this.rate;
    }
    const newest = this.latest.length - 1;
    this.latest[newest] = Math.max(this.latest[newest], late);
    const guess = newest < KNOWN ? GUESS : 0;
    let punctual = Infinity;
    for (let i = 0; i <= newest; i++) punctual = Math.min(punctual, this.latest[i]);
    this.due = Math.min(this.largest(Math.min(OUTLIERS, newest)), punctual + MOST * this.rate) + (MARGIN + guess) * this.rate;
  }

  // largest is the latest arrival but for so many, without making anything: the audio thread should not have to clean up.
  largest(skip) {
    let bound = Infinity;
    for (let all = this.latest.length, seen = 0; ; ) {
      let next = -Infinity;
      for (let i = 0; i < all; i++) if (this.latest[i] < bound && this.latest[i] > next) next = this.latest[i];
      if (next === -Infinity) return bound;
      bound = next;
      for (let i = 0; i < all; i++) if (this.latest[i] === bound) seen++;
      if (seen > skip) return bound;
    }
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
    if (!this.playing && !this.begins(now)) {
      this.trail(out, 0);
      return;
    }
    this.shorten(out.length, now);
    const first = this.ring.read;
    const n = this.ring.shift(out, out.length);
    this.book(first, n, now);
    this.fadeIn(out, n);
    if (n > 0 && this.fade >= FADE * this.rate) this.last = out[n - 1];
    if (n === out.length) return;
    this.trail(out, n);
    this.counts.underruns++;
    this.playing = false;
    this.dry = true;
  }

  // begins waits at the very start until the first reply is due. After running dry it does not: the delay has grown enough.
  begins(now) {
    if (this.ring.length === 0 || (!this.dry && this.lateness(now) < this.due)) return false;
    this.playing = true;
    this.dry = false;
    this.fade = 0;
    return true;
  }

  // lateness is between the capture and the playout of the next sample, in samples.
  lateness(now) {
    while (this.marks.length > 0 && this.marks[0].at <= this.ring.read) this.head = this.marks.shift();
    return now - this.position(this.head.captured) - (this.ring.read - this.head.at);
  }

  // trail lets the last sample die away instead of stopping it.
  trail(out, from) {
    for (let i = from; i < out.length; i++) out[i] = this.last *= DECAY;
    if (this.dry) this.counts.dry += out.length - from;
  }

  // fadeIn begins again under what still dies away.
  fadeIn(out, n) {
    const ramp = FADE * this.rate;
    for (let i = 0; i < n && this.fade < ramp; i++) out[i] = (out[i] * this.fade++) / ramp + (this.last *= DECAY);
  }

  // book measures the trips of the replies that begin among the n samples from position first.
  book(first, n, now) {
    if (this.head?.at === first) this.trip(this.head, first, now);
    while (this.marks.length > 0 && this.marks[0].at < first + n) {
      this.head = this.marks.shift();
      this.trip(this.head, first, now);
    }
  }

  trip({ at, captured }, first, now) {
    if (at >= first && this.trips.length < 256) this.trips.push(((now + at - first) / this.rate) * 1e6 - captured);
  }

  // shorten gives back delay that is not needed; the next quantum must stay.
  shorten(quantum, now) {
    if (this.ring.length === 0) return;
    const spare = this.lateness(now) - this.due;
    if (spare < SLACK * this.rate) {
      this.spareFor = 0;
      return;
    }
    this.spareFor += quantum / this.rate;
    this.rest -= quantum / this.rate;
    const most = Math.floor(Math.min(spare, this.ring.length - quantum - this.overlapped.length));
    if (most < 1) return;
    if (spare > TOO_LATE * this.rate) this.join(most, "skipped");
    else if (this.quiet(most)) this.join(most, "cut");
    else if (this.rest <= 0) this.cutPeriod(Math.min(most, Math.round(LONGEST_CUT * this.rate)));
  }

  quiet(n) {
    for (let i = 0; i < n + this.overlapped.length; i++) if (Math.abs(this.ring.at(i)) > SILENCE) return false;
    return true;
  }

  // cutPeriod takes out the length, up to most, after which the signal is most like itself.
  cutPeriod(most) {
    const overlap = this.overlapped.length;
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
    this.rest = best > 0 ? REST : REST / 6; // searching costs time too
    if (best > 0) this.join(best, "cut");
  }

  // join leaves out the next n samples, with a crossfade.
  join(n, counter) {
    const overlap = Math.min(this.overlapped.length, this.ring.length - n);
    if (overlap <= 0) return;
    for (let i = 0; i < overlap; i++) this.overlapped[i] = this.ring.at(i); // before any is replaced: n may be less than overlap
    for (let i = 0; i < overlap; i++) {
      const w = (i + 1) / (overlap + 1);
      this.ring.set(n + i, this.overlapped[i] * (1 - w) + this.ring.at(n + i) * w);
    }
    this.ring.skip(n);
    this.counts[counter] += n;
    if (counter === "cut") this.counts.cuts++;
  }
}
