const SECOND = 1e6; // µs
const STEP = 2e3; // the least that a sound card loses when it is not given its samples in time
const WINDOW = 20; // seconds
const MANY = 5; // of these: a busy moment is over sooner

// Stumbles notices a sound card whose buffer is too short for this computer: each time it runs empty, the audio clock stands still, and
// all that is captured from then on comes later. Single messages that are late mean nothing, so the most punctual of each second counts.
export class Stumbles {
  #ends = 0;
  #least = Infinity; // µs between being captured and coming here, of the most punctual of this second
  #before = Infinity; // and of the last one
  #seconds = []; // whether the clock had lost time, of the latest

  // of takes both times in µs and says whether there have been too many, once. now may not go back.
  of(captured, now) {
    const many = now >= this.#ends && this.#turn(now);
    this.#least = Math.min(this.#least, now - captured);
    return many;
  }

  #turn(now) {
    this.#seconds.push(this.#least - this.#before > STEP);
    if (this.#seconds.length > WINDOW) this.#seconds.shift();
    [this.#before, this.#least, this.#ends] = [this.#least, Infinity, now + SECOND];
    const many = this.#seconds.filter(Boolean).length >= MANY;
    if (many) this.#seconds = [];
    return many;
  }
}
