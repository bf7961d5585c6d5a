// Messages, audio header and PCM of protocol v1, as client/wire does them in Go. Both are held to testdata/wire.

export const VERSION = 1;
export const HEADER_BYTES = 16;
export const DISCONTINUITY = 1; // flag: frames were lost just before this one

const HEADROOM = 16; // samples of f32le beyond it are no sound any more

// Fault is what the protocol calls an error: a code that programs read, and words for people.
export class Fault extends Error {
  constructor(code, message, param = "", retryable = false) {
    super(message);
    Object.assign(this, { code, param, retryable });
  }
}

// say gives the text of a message.
export function say(type, fields = {}) {
  return JSON.stringify({ type, ...fields });
}

// hear reads a text message. One of a type that nobody knows is for the caller to pass over.
export function hear(text) {
  let message = null;
  try {
    message = JSON.parse(text);
  } catch {
    throw new Fault("bad_message", `"${text.slice(0, 40)}" is not JSON`);
  }
  if (typeof message?.type !== "string") throw new Fault("bad_message", `a message without a type: ${text.slice(0, 40)}`, "type");
  return message;
}

// faultOf makes what can be thrown of an "error".
export function faultOf({ code, message, param, retryable }) {
  return new Fault(code, message, param, retryable);
}

const sampleBytes = (format) => (format.encoding === "f32le" ? 4 : 2);

// encode gives a binary message: header and mono samples, the same in every channel. header null leaves the header out.
export function encode(format, header, samples) {
  const size = sampleBytes(format);
  const head = header ? HEADER_BYTES : 0;
  const buffer = new ArrayBuffer(head + samples.length * size * format.channels);
  const view = new DataView(buffer);
  if (header) {
    view.setUint8(0, VERSION);
    view.setUint8(1, header.flags);
    view.setUint32(4, header.sequence, true);
    view.setUint32(8, header.captured % 2 ** 32, true);
    view.setUint32(12, Math.floor(header.captured / 2 ** 32), true);
  }
  let at = head;
  for (const v of samples) {
    for (let c = 0; c < format.channels; c++, at += size) {
      if (size === 4) view.setFloat32(at, v, true);
      else view.setInt16(at, quantise(v), true);
    }
  }
  return buffer;
}

// Rounds to nearest, halves away from 0, and saturates.
function quantise(v) {
  const s = Math.sign(v) * Math.round(Math.abs(v) * 32768);
  return Math.max(-32768, Math.min(32767, s));
}

// parseHeader reads the header of a binary message. captured is in µs, exact up to 2^53.
export function parseHeader(buffer) {
  if (buffer.byteLength < HEADER_BYTES) {
    throw new Fault("bad_frame", `binary message of ${buffer.byteLength} bytes, shorter than the ${HEADER_BYTES}-byte header`);
  }
  const view = new DataView(buffer);
  const [version, flags, reserved] = [view.getUint8(0), view.getUint8(1), view.getUint16(2, true)];
  if (version !== VERSION) throw new Fault("bad_frame", `frame version ${version}, want ${VERSION}`, "version");
  if (flags & ~DISCONTINUITY) throw new Fault("bad_frame", `unknown flags ${flags}`, "flags");
  if (reserved) throw new Fault("bad_frame", `reserved field is ${reserved}, want 0`, "reserved");
  return {
    flags,
    sequence: view.getUint32(4, true),
    captured: view.getUint32(8, true) + view.getUint32(12, true) * 2 ** 32,
  };
}

// decode gives the mono mean of the PCM that starts at offset.
export function decode(format, buffer, offset = 0) {
  const size = sampleBytes(format);
  const frame = size * format.channels;
  const bytes = buffer.byteLength - offset;
  if (bytes % frame) throw new Fault("bad_audio", `${bytes} bytes of PCM are not whole frames of ${frame} bytes`);
  const view = new DataView(buffer, offset);
  const mono = new Float32Array(bytes / frame);
  for (let i = 0, at = 0; i < mono.length; i++) {
    let sum = 0;
    for (let c = 0; c < format.channels; c++, at += size) sum += size === 4 ? bounded(view.getFloat32(at, true)) : view.getInt16(at, true) / 32768;
    mono[i] = sum / format.channels;
  }
  return mono;
}

function bounded(v) {
  if (!Number.isFinite(v)) throw new Fault("bad_audio", `a sample is ${v}, want finite numbers`);
  return Math.max(-HEADROOM, Math.min(HEADROOM, v));
}
