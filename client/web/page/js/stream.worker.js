import { DISCONTINUITY, HEADER_BYTES, decode, encode, hear, parseHeader, say } from "./wire.js";
import { Flight } from "./flight.js";
import { Lateness } from "./lateness.js";
import { Stumbles } from "./stumbles.js";
import { Take } from "./take.js";

// What is late stays late unless something is left out. So audio that has waited longer than STALE on its way here is dropped, and
// none is sent while too much has not come back.
const STALE = 300e3; // µs
const STALL = 2000; // ms without a reply after which sending is tried again
const SILENCE = 4000; // ms without a reply after which the connection counts as lost, whatever the network believes
const STEP = 200; // ms from chunk to chunk, at most, that count for these two: if more pass, the computer slept, and replies may wait here
const REPORT = 10; // replies

// Stream is the socket of one conversation. It lives in a worker: audio comes from and goes to the audio thread over a port, the page
// sees messages and figures only.
class Stream {
  constructor(port) {
    this.port = port;
    this.socket = null;
    this.ready = null;
    this.sequence = 0;
    this.flight = new Flight();
    this.heard = false; // a reply; before the first none is missed
    this.quiet = 0; // ms without a reply
    this.chunkAt = 0; // ms, when the last chunk came
    this.lateness = new Lateness();
    this.stumbles = new Stumbles();
    this.lost = 0; // samples that were captured and could not be sent
    this.broken = false;
    this.trips = []; // ms from sending a message to the reply that begins with its samples
    this.replies = 0;
    this.take = null;
    port.onmessage = ({ data }) => this.send(data);
  }

  open(url, start) {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(say("start", start));
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      if (typeof data === "string") this.hear(hear(data));
      else this.receive(data);
    };
    socket.onclose = () => socket === this.socket && this.lose();
    this.format = start.format;
    this.ready = null;
    if (!start.resume) this.sequence = 0;
    this.flight = new Flight();
    this.heard = false;
    this.quiet = 0;
    this.broken = Boolean(start.resume); // a new stream has nothing to be cut off from
    this.socket = socket;
  }

  lose() {
    this.close();
    postMessage({ kind: "closed" });
  }

  say({ type, ...fields }) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(say(type, fields));
  }

  close() {
    const socket = this.socket;
    this.socket = this.ready = null;
    socket?.close();
  }

  hear(message) {
    if (message.type === "ready") this.ready = message;
    postMessage({ kind: "message", message });
  }

  // send frames a chunk of the microphone. What cannot leave at once is dropped: late audio is worth nothing.
  send({ captured, samples }) {
    this.take?.addInput(captured, samples);
    if (!this.ready) return;
    const at = performance.now();
    if (this.heard) this.quiet += Math.min(at - this.chunkAt, STEP);
    this.chunkAt = at;
    if (this.quiet > SILENCE) {
      this.lose();
      return;
    }
    const now = at * 1000;
    if (this.stumbles.of(captured, now)) postMessage({ kind: "stumbling" });
    if (this.lateness.of(captured, now) > STALE || this.full()) {
      this.lost += samples.length;
      this.broken = true;
      return;
    }
    const header = { flags: this.broken ? DISCONTINUITY : 0, sequence: this.sequence, captured };
    this.broken = false;
    this.sequence = (this.sequence + 1) >>> 0;
    this.flight.sent(captured, (samples.length / this.format.rate) * 1e6, performance.now());
    this.socket.send(encode(this.format, header, samples));
  }

  full() {
    return this.flight.full && this.heard && this.quiet < STALL;
  }

  receive(data) {
    const header = parseHeader(data);
    const samples = decode(this.format, data, HEADER_BYTES);
    this.take?.addOutput(header.captured, samples);
    this.measure(header.captured);
    this.heard = true;
    this.quiet = 0;
    const broken = (header.flags & DISCONTINUITY) !== 0;
    this.port.postMessage({ captured: header.captured, samples, broken }, [samples.buffer]);
    if (++this.replies % REPORT === 0) this.report();
  }

  measure(captured) {
    const at = this.flight.back(captured);
    if (at !== undefined) this.trips.push(performance.now() - at);
  }

  report() {
    postMessage({ kind: "figures", trips: this.trips, lost: this.lost });
    this.trips = [];
    if (this.take?.complete()) this.handOver();
  }

  record(on) {
    if (on) this.take = new Take(this.format.rate);
    else if (this.take) this.take.end(performance.now());
    if (!on && !this.ready) this.handOver(); // no more replies will come
  }

  handOver() {
    const take = this.take?.aligned();
    this.take = null;
    if (take) postMessage({ kind: "take", ...take }, [take.input.buffer, take.output.buffer]);
  }
}

let stream = null;

onmessage = ({ data }) => {
  if (data.kind === "port") stream = new Stream(data.port);
  if (data.kind === "open") stream.open(data.url, data.start);
  if (data.kind === "say") stream.say(data.message);
  if (data.kind === "record") stream.record(data.on);
  if (data.kind === "close") stream.close();
};
