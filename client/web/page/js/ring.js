// Ring is a queue of samples of fixed size. When full it drops the oldest. Positions count samples since the start.
export class Ring {
  constructor(size) {
    this.data = new Float32Array(size);
    this.read = 0; // position of the next sample out
    this.write = 0; // position of the next sample in
  }

  get length() {
    return this.write - this.read;
  }

  // push gives the number of samples that had to go to make room.
  push(samples) {
    const size = this.data.length;
    const from = Math.max(0, samples.length - size); // more than fits: only the newest count
    const dropped = Math.max(0, this.length + samples.length - size);
    this.write += from;
    for (let i = from; i < samples.length; i++) this.data[this.write++ % size] = samples[i];
    this.read += dropped;
    return dropped;
  }

  // at is the i-th sample that waits; set replaces it.
  at(i) {
    return this.data[(this.read + i) % this.data.length];
  }

  set(i, v) {
    this.data[(this.read + i) % this.data.length] = v;
  }

  // shift moves up to n samples to the start of out and gives their number.
  shift(out, n) {
    n = Math.min(n, this.length);
    for (let i = 0; i < n; i++) out[i] = this.at(i);
    this.read += n;
    return n;
  }

  skip(n) {
    this.read += Math.min(n, this.length);
  }
}
