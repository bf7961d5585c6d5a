// In µs of audio. Above MOST nothing more is sent until no more than FEW is left: one long gap costs less of what is said than many short ones,
// after each of which the voice begins anew. FEW is more than any voice keeps to itself before it answers.
const MOST = 500e3;
const FEW = 200e3;

// Flight is what was sent and has not come back. It counts audio, not time: what was never sent cannot be missing.
export class Flight {
  #sent = []; // {captured, length, at}: the message that the last reply began in, and those after it
  #length = 0; // of all of them
  #full = false;

  sent(captured, length, at) {
    this.#sent.push({ captured, length, at });
    this.#length += length;
    this.#full ||= this.#length > MOST;
  }

  // back takes the capture time of a reply's first sample and gives when the message that held it was sent, undefined if none did.
  back(captured) {
    while (this.#sent.length > 1 && this.#sent[1].captured <= captured) this.#length -= this.#sent.shift().length;
    if (this.#length <= FEW) this.#full = false;
    return this.#sent[0]?.captured <= captured ? this.#sent[0].at : undefined;
  }

  get full() {
    return this.#full;
  }
}
