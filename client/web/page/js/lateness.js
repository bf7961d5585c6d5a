const BUCKET = 250e3; // µs
const BUCKETS = 4;

// Lateness says how late things come on a clock that is not ours: how much later than the most punctual of the last second. The audio
// clock may stand still for a while, as when a sound card stumbles or a computer sleeps. What all are late by is then no lateness.
export class Lateness {
  #least = []; // of each bucket, µs between being captured there and coming here
  #ends = -Infinity;

  // of takes both times in µs. now may not go back.
  of(captured, now) {
    if (now >= this.#ends) {
      this.#least.push(Infinity);
      if (this.#least.length > BUCKETS) this.#least.shift();
      this.#ends = now + BUCKET;
    }
    const age = now - captured;
    const newest = this.#least.length - 1;
    this.#least[newest] = Math.min(this.#least[newest], age);
    return age - Math.min(...this.#least);
  }
}
