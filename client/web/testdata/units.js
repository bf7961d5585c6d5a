// Tests of the page's parts that need no sound card, run in Chromium by web_test.go: run gives {name, error} for each.
import { Figures } from "/js/figures.js";
import { Flight } from "/js/flight.js";
import { Lateness } from "/js/lateness.js";
import { Playout } from "/js/playout.js";
import { Ring } from "/js/ring.js";
import { Stumbles } from "/js/stumbles.js";
import { Take } from "/js/take.js";
import { wav } from "/js/wav.js";
import { decode, encode, faultOf, hear, parseHeader, say } from "/js/wire.js";
import { tell } from "/js/words.js";

const RATE = 48000;
const QUANTUM = 128;
const CHUNK = 480;

export async function run() {
  const results = [];
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
      results.push({ name, error: "" });
    } catch (err) {
      results.push({ name, error: String(err.stack ?? err) });
    }
  }
  return results;
}

function want(what, found, expected) {
  if (!Object.is(found, expected)) throw new Error(`${what}: found ${found}, want ${expected}`);
}

function check(what, holds) {
  if (!holds) throw new Error(what);
}

const bytes = async (file) => (await fetch(`/wire/${file}`)).arrayBuffer();
const vectors = async (file) => (await fetch(`/wire/${file}`)).json();

// said gives the text that the page makes of each client's message of testdata/wire; the Go side reads it.
export async function said() {
  const { client } = await vectors("messages.json");
  return client.map(({ name, json: { type, ...fields } }) => ({ name, text: say(type, fields) }));
}

const tests = {
  async "good frames of testdata/wire"() {
    const { good } = await vectors("frames.json");
    check("five vectors at least", good.length >= 5);
    for (const { file, header, format, mono } of good) {
      const buffer = await bytes(file);
      const found = header && parseHeader(buffer);
      if (header) {
        want(`${file} flags`, found.flags, header.flags);
        want(`${file} sequence`, found.sequence, header.sequence);
        want(`${file} captured`, found.captured, header.captured_us);
      }
      const samples = decode(format, buffer, header ? 16 : 0);
      want(`${file} length`, samples.length, mono.length);
      mono.forEach((v, i) => want(`${file} sample ${i}`, samples[i], Math.fround(v)));
      const again = new Uint8Array(encode(format, found, samples));
      want(`${file} encoded length`, again.length, buffer.byteLength);
      new Uint8Array(buffer).forEach((v, i) => want(`${file} byte ${i}`, again[i], v));
    }
  },

  async "bad frames of testdata/wire"() {
    const { bad } = await vectors("frames.json");
    check("seven vectors at least", bad.length >= 7);
    for (const { file, error, format } of bad) {
      let code = "none";
      const buffer = await bytes(file);
      try {
        parseHeader(buffer);
        decode(format, buffer, 16);
      } catch (err) {
        code = err.code;
      }
      want(file, code, error);
    }
  },

  async "what servers say in testdata/wire"() {
    const { server } = await vectors("messages.json");
    check("nine messages at least", server.length >= 9);
    for (const { name, json } of server) {
      const text = JSON.stringify(json);
      const message = hear(text);
      want(`${name}, said again`, say(message.type, message), text);
      if (message.type !== "error") continue;
      const fault = faultOf(message);
      for (const key of ["code", "message", "param", "retryable"]) want(`${name}: ${key}`, fault[key], json[key]);
    }
  },

  async "texts of testdata/wire that are no messages"() {
    const { refused } = await vectors("messages.json");
    const none = refused.filter(({ error, param }) => error === "bad_message" && (!param || param === "type"));
    check("three at least", none.length >= 3);
    for (const { name, text, error, param } of none) {
      let fault = { code: "none" };
      try {
        hear(text);
      } catch (err) {
        fault = err;
      }
      want(name, fault.code, error);
      if (param) want(`${name}: param`, fault.param, param);
    }
    for (const { name, text } of refused.filter(({ error }) => error === "unknown_type")) check(name, typeof hear(text).type === "string");
  },

  "what s16le cannot hold saturates, and halves round away from 0"() {
    const format = { encoding: "s16le", rate: RATE, channels: 1 };
    const view = new DataView(encode(format, null, Float32Array.of(2, -2, 1.5 / 32768, -1.5 / 32768, 0.4 / 32768)));
    [32767, -32768, 2, -2, 0].forEach((v, i) => want(`sample ${i}`, view.getInt16(2 * i, true), v));
  },

  "the ring keeps order, and drops the oldest when full"() {
    const ring = new Ring(8);
    want("dropped", ring.push(Float32Array.of(1, 2, 3, 4, 5)), 0);
    const out = new Float32Array(3);
    want("shifted", ring.shift(out, 3), 3);
    want("out", out.join(), "1,2,3");
    want("dropped", ring.push(Float32Array.of(6, 7, 8, 9, 10, 11, 12)), 1);
    want("length", ring.length, 8);
    want("first", ring.at(0), 5);
    want("dropped of one that is too long", ring.push(Float32Array.from({ length: 20 }, (_, i) => i)), 20);
    want("newest kept", ring.at(7), 19);
    want("oldest kept", ring.at(0), 12);
  },

  "steady replies are played bit for bit, and the trip is what it was"() {
    const line = new Line({ delay: () => 0.05 });
    line.run(20);
    want("underruns", line.playout.counts.underruns, 0);
    want("skipped", line.playout.counts.skipped, 0);
    const began = line.out.findIndex((v) => v !== 0);
    const trip = line.trips.at(-1);
    check(`the trip is ${trip} µs, want 50 ms and less than two chunks more`, trip >= 50000 && trip < 70000);
    // What was said at frame n is heard at n + trip, the same to the last bit.
    const shift = Math.round((trip * RATE) / 1e6);
    for (let i = 15 * RATE; i < 15 * RATE + 4800; i++) want(`sample ${i}`, line.out[i], line.said(i - shift));
    check("it begins at once", began < 0.1 * RATE);
  },

  "what a jittery line needs is learnt, and then nothing runs dry"() {
    const random = lcg(1);
    const line = new Line({ delay: () => 0.03 + 0.02 * random() });
    line.run(20);
    const { underruns } = line.playout.counts;
    line.run(20);
    check(`${line.playout.counts.underruns - underruns} underruns after it has learnt`, line.playout.counts.underruns - underruns <= 2);
    const trip = line.trips.at(-1) / 1000;
    check(`the trip is ${trip} ms, want 50 and no more than 30 more`, trip > 49 && trip < 80);
  },

  "an interruption does not leave its delay behind"() {
    const line = new Line({ delay: (t) => (t > 5 && t < 6 ? 6.05 - t : 0.05) }); // a second without replies, then all of them at once
    line.run(5);
    const before = line.trips.at(-1);
    line.run(8);
    const after = line.trips.at(-1);
    check(`the trip was ${before} µs and is ${after}`, after < before + 15000);
    check("something was skipped", line.playout.counts.skipped > 0);
  },

  "surplus is cut out of a voice without a click"() {
    const line = new Line({ delay: (t) => (t < 2 ? 0.15 : 0.05), said: (n) => Math.fround(0.5 * Math.sin((2 * Math.PI * 150 * n) / RATE)) });
    line.run(15);
    const trip = line.trips.at(-1) / 1000;
    check(`the trip is ${trip} ms, want 50 and no more than 20 more`, trip < 70);
    check("something was cut", line.playout.counts.cut > 0.05 * RATE);
    const steepest = (0.5 * 2 * Math.PI * 150) / RATE;
    for (let i = 3 * RATE; i < 15 * RATE; i++) {
      const step = Math.abs(line.out[i] - line.out[i - 1]);
      check(`a click of ${step} at ${i}`, step < 2 * steepest);
    }
  },

  "surplus is cut out of silence first"() {
    const line = new Line({ delay: (t) => (t < 2 ? 0.15 : 0.05), said: (n) => (n % (2 * RATE) < RATE ? 0.5 * (random5(n) - 0.5) : 0) });
    line.run(15);
    const trip = line.trips.at(-1) / 1000;
    check(`the trip is ${trip} ms, want 50 and no more than 20 more`, trip < 70);
  },

  "what was late once is not waited for"() {
    const line = new Line({ delay: (t) => (t > 5 && t < 5.1 ? 0.15 : 0.05) });
    line.run(8);
    const trip = line.trips.at(-1) / 1000;
    check(`the trip is ${trip} ms, want 50 and no more than 20 more`, trip < 70);
  },

  "a line that stalls again and again does not make the delay endless"() {
    const line = new Line({ delay: (t) => (t % 3 < 0.6 ? 0.7 : 0.05) });
    line.run(20);
    const due = line.playout.due / RATE;
    check(`${due} s are waited for`, due < 0.21);
  },

  "running dry fades out and in again"() {
    const playout = new Playout(RATE);
    const out = new Float32Array(QUANTUM);
    let now = 0;
    const pull = () => (playout.pull(out, now), (now += QUANTUM), out.slice());
    playout.push(new Float32Array(4800).fill(0.8), 0, false, now);
    const heard = [];
    while (playout.counts.underruns === 0) heard.push(...pull());
    for (let i = 0; i < 8; i++) heard.push(...pull());
    playout.push(new Float32Array(4800).fill(0.8), 100000, false, now);
    for (let i = 0; i < 8; i++) heard.push(...pull());
    const most = heard.reduce((m, v, i) => (i ? Math.max(m, Math.abs(v - heard[i - 1])) : m), 0);
    check(`a step of ${most}`, most < 0.03);
    check("it is back", heard.at(-1) > 0.79);
  },

  "a take lies on itself whatever the delay was"() {
    const take = new Take(RATE);
    const say = (k) => Float32Array.from({ length: CHUNK }, (_, i) => k * CHUNK + i);
    for (let k = 0; k < 10; k++) take.addInput(1e6 + k * 10000, say(k));
    take.end(0);
    check("it waits for its replies", !take.complete(10));
    take.addOutput(1e6 - 5000, new Float32Array(CHUNK).fill(-1)); // half of it is of before
    for (let k = 0; k < 9; k++) take.addOutput(1e6 + 5000 + k * 10000, say(k).map((v) => v + 240));
    check("it has not come to the end", !take.complete(10));
    check("it does not wait for ever", take.complete(10000));
    take.addOutput(1e6 + 95000, say(9));
    check("it is complete", take.complete(10));
    const { input, output, rate } = take.aligned();
    want("rate", rate, RATE);
    want("length", input.length, 4800);
    want("output length", output.length, 4800);
    want("input", input[777], 777);
    want("of before", output[100], -1);
    for (let i = 240; i < 4500; i++) want(`output ${i}`, output[i], i);
  },

  "what comes late is late, and what a clock has lost is not"() {
    const lateness = new Lateness();
    const come = (from, to, lost, delay = () => 5e3) => {
      const late = [];
      for (let k = from; k < to; k++) late.push(lateness.of(k * 10e3 - lost, k * 10e3 + delay(k)));
      return late;
    };
    want("punctual", Math.max(...come(0, 300, 0)), 0);
    const burst = come(300, 400, 0, (k) => (400 - k) * 10e3); // a second's worth, all at once
    check(`the oldest is ${burst[0]} µs late, want about a second`, burst[0] > 900e3 && burst[0] < 1000e3);
    want("then punctual", Math.max(...come(401, 500, 0)), 0);
    const lost = come(500, 700, 400e3);
    check(`at first it looks as if all were late, by ${lost[0]} µs`, lost[0] > 390e3);
    check(`after a second it does not, ${lost[110]} µs`, Math.max(...lost.slice(110)) < 1e3);
  },

  "a sound card that stands still again and again is noticed, once"() {
    // told gives the seconds in which that was said, of messages every 10 ms.
    const told = (captured, came = (ms) => ms) => {
      const stumbles = new Stumbles();
      const seconds = [];
      for (let ms = 0; ms < 30e3; ms += 10) if (stumbles.of(captured(ms) * 1e3, came(ms) * 1e3)) seconds.push(Math.floor(ms / 1e3));
      return String(seconds);
    };
    want("a clock that goes", told((ms) => ms), "");
    want("one that goes a ten-thousandth slower", told((ms) => ms * 0.9999), "");
    want("messages that are late", told((ms) => ms, (ms) => (ms % 1000 < 900 ? Math.ceil(ms / 1000) * 1000 : ms)), "");
    want("a computer that slept", told((ms) => (ms < 10e3 ? ms : ms - 5e3)), "");
    want("a busy moment", told((ms) => ms - 3 * Math.min(3, Math.floor(ms / 2e3))), "");
    want("3 ms lost every 2 s, in the first 14 s", told((ms) => ms - 3 * Math.min(7, Math.floor(ms / 2e3))), "11");
  },

  "what was never sent is not waited for"() {
    const flight = new Flight();
    flight.sent(0, 1e4, 1);
    want("the answer's message", flight.back(0), 1);
    flight.sent(3e6, 1e4, 2); // the computer slept for three seconds
    check("the next may leave at once", !flight.full);
    want("an answer between the two", flight.back(5e3), 1);
    want("and to the second", flight.back(3e6), 2);
  },

  "one long gap rather than many short ones"() {
    const flight = new Flight();
    let at = 0;
    for (; !flight.full; at += 1e4) flight.sent(at, 1e4, at);
    want("what is on its way, at most", at, 51e4);
    for (let back = 0; flight.full; back += 1e4) {
      check("it ends", back < at);
      flight.back(back);
      if (back < 25e4) check(`still full after ${back} µs`, flight.full);
    }
    flight.sent(at, 1e4, at);
    check("there is room for more than one", !flight.full);
  },

  "percentiles are of the last seconds"() {
    const figures = new Figures(10);
    figures.add([1000], 0);
    figures.add(Array.from({ length: 100 }, (_, i) => i + 1), 11000);
    const [p50, p99, all] = figures.percentiles(0.5, 0.99, 1);
    want("p50", p50, 51);
    want("p99", p99, 100);
    want("most", all, 100);
    want("count", figures.count, 101);
    want("nothing", new Figures().percentiles(0.5), null);
  },

  async "a WAV file is what a browser reads"() {
    const samples = Float32Array.from({ length: 4800 }, (_, i) => 0.5 * Math.sin(i / 10));
    const buffer = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await wav(samples, RATE).arrayBuffer());
    want("length", buffer.length, 4800);
    check("samples", Math.abs(buffer.getChannelData(0)[1234] - samples[1234]) < 1e-4);
  },

  "errors are told in words that help"() {
    want("a file's name stays", tell({ code: "bad_audio", message: "my song.mp3: it is empty" }), "my song.mp3: it is empty.");
    want("a sentence", tell({ code: "bad_audio", message: "it is empty" }), "It is empty.");
    check("microphone", tell(new DOMException("x", "NotAllowedError")).includes("allow the microphone"));
    check("no device", tell(new DOMException("x", "NotFoundError")).includes("Plug one in"));
    check("full", tell({ code: "too_many_sessions", message: "8 streams are running" }).includes("8 streams"));
    want("unknown", tell({ code: "new", message: "what the daemon says" }), "What the daemon says.");
  },
};

// Line is a microphone, a daemon that answers after delay(t) seconds, and the playout, on a clock of their own.
class Line {
  constructor({ delay, said = random5 }) {
    Object.assign(this, { delay, said, now: 0, out: [], trips: [], flying: [] });
    this.playout = new Playout(RATE);
    this.chunks = 0;
  }

  run(seconds) {
    const out = new Float32Array(QUANTUM);
    for (const end = this.now + seconds * RATE; this.now < end; this.now += QUANTUM) {
      for (; (this.chunks + 1) * CHUNK <= this.now; this.chunks++) {
        const from = this.chunks * CHUNK;
        const before = this.flying.at(-1)?.at ?? 0;
        const at = Math.max(before, from / RATE + this.delay(from / RATE)); // one after the other, as a socket gives them
        this.flying.push({ at, from });
      }
      while (this.flying.length > 0 && this.flying[0].at <= this.now / RATE) {
        const { from } = this.flying.shift();
        this.playout.push(Float32Array.from({ length: CHUNK }, (_, i) => this.said(from + i)), (from / RATE) * 1e6, false, this.now);
      }
      this.playout.pull(out, this.now);
      this.out.push(...out);
      this.trips.push(...this.playout.trips.splice(0));
    }
  }
}

function random5(n) {
  return n < 0 ? 0 : Math.fround((((n * 7919) % 1013) / 1013) * 0.5 + 0.1);
}

function lcg(seed) {
  return () => (seed = (seed * 16807) % 2147483647) / 2147483647;
}
