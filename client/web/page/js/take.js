const LONGEST = 300; // seconds
const PATIENCE = 2000; // ms that a take waits for its last replies

// Take is a recording of both ends of a conversation. Replies carry the capture time of what they stand for, so the two lie on each
// other to the sample, whatever the delay was.
export class Take {
  constructor(rate) {
    this.rate = rate;
    this.input = [];
    this.output = [];
    this.from = null; // capture time in µs of the first sample
    this.to = null;
    this.ended = null; // when, in ms
    this.covered = 0;
  }

  addInput(captured, samples) {
    if (this.ended !== null) return;
    this.from ??= captured;
    this.to = captured + (samples.length / this.rate) * 1e6;
    if (this.to - this.from > LONGEST * 1e6) return;
    this.input.push({ captured, samples: samples.slice() });
  }

  addOutput(captured, samples) {
    const after = captured + (samples.length / this.rate) * 1e6;
    if (this.from === null || after <= this.from) return; // of before
    this.covered = after;
    this.output.push({ captured, samples: samples.slice() });
  }

  end(now) {
    this.ended = now;
  }

  // complete: every sample that was said has come back, or will not come any more.
  complete(now = performance.now()) {
    return this.ended !== null && (this.covered >= this.to || now - this.ended > PATIENCE);
  }

  // aligned gives {rate, input, output} of equal length, or null when nothing was said.
  aligned() {
    if (this.input.length === 0) return null;
    const last = this.input.at(-1);
    const length = this.place(last.captured) + last.samples.length;
    return { rate: this.rate, input: this.lay(this.input, length), output: this.lay(this.output, length) };
  }

  place(captured) {
    return Math.round(((captured - this.from) * this.rate) / 1e6);
  }

  lay(pieces, length) {
    const track = new Float32Array(length);
    for (const { captured, samples } of pieces) {
      const at = this.place(captured);
      const from = Math.max(0, -at);
      const to = Math.min(samples.length, length - at);
      if (to > from) track.set(samples.subarray(from, to), at + from);
    }
    return track;
  }
}
