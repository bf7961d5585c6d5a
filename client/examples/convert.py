#!/usr/bin/env python3
"""Converts a WAV file (16 bits) with a running autovoiced, as a microphone would be converted.

    convert.py IN.wav OUT.wav [--url ws://127.0.0.1:8484] [--voice NAME] [--pitch SEMITONES|auto] [--token TOKEN] [--fast]

Needs the package websockets (apt-get install python3-websockets). The protocol is client/wire/README.md.
"""

import argparse
import array
import asyncio
import json
import struct
import sys
import time
import urllib.parse
import wave

import websockets

HEADER = struct.Struct("<BBHIQ")  # version, flags, reserved, sequence, capture time in µs
VERSION, DISCONTINUITY = 1, 1


class Refused(Exception):
    """An error of the daemon, or a frame that is none."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


def pack(pcm, sequence, captured_us, flags=0):
    """Makes the binary message of some audio."""
    return HEADER.pack(VERSION, flags, 0, sequence & 0xFFFFFFFF, captured_us) + pcm


def unpack(frame):
    """Gives (flags, sequence, captured_us, pcm) of a binary message."""
    if len(frame) < HEADER.size:
        raise Refused("bad_frame", f"{len(frame)} bytes are no frame")
    version, flags, reserved, sequence, captured_us = HEADER.unpack_from(frame)
    if version != VERSION or flags & ~DISCONTINUITY or reserved:
        raise Refused("bad_frame", f"version {version}, flags {flags}, reserved {reserved}")
    return flags, sequence, captured_us, frame[HEADER.size:]


def samples(encoding, channels, pcm):
    """Gives PCM as one list of floats: the mean of the channels, full scale 1."""
    kind, scale = ("f", 1.0) if encoding == "f32le" else ("h", 32768.0)
    values = array.array(kind)
    if len(pcm) % (values.itemsize * channels):
        raise Refused("bad_audio", "a part of a sample is left over")
    values.frombytes(pcm)
    if sys.byteorder == "big":
        values.byteswap()
    values = [v / scale for v in values]
    if any(v - v != 0 for v in values):
        raise Refused("bad_audio", "not a finite number")
    if encoding == "f32le":
        values = [max(-16.0, min(16.0, v)) for v in values]
    return [sum(values[i:i + channels]) / channels for i in range(0, len(values), channels)]


def check(message):
    """Parses a text message; raises what is an error."""
    message = json.loads(message)
    if message["type"] == "error" and message["fatal"]:
        raise Refused(message["code"], message["message"])
    return message


async def convert(url, start, pcm, seconds=0.02, live=True):
    """Sends PCM in pieces of so many seconds, live or as fast as it goes; returns (reply, round trips in ms, ledger)."""
    rate, bytes_per_frame = start["format"]["rate"], 2 * start["format"]["channels"]
    chunk = int(rate * seconds) * bytes_per_frame
    async with websockets.connect(url, max_size=None) as ws:
        await ws.send(json.dumps(start))
        ready = check(await ws.recv())
        while ready["type"] != "ready":  # others are of a later version
            ready = check(await ws.recv())

        async def send():
            began = time.monotonic_ns() // 1000
            for sequence, at in enumerate(range(0, len(pcm), chunk)):
                captured = began + at // bytes_per_frame * 1_000_000 // rate  # its first sample, as a microphone hears it
                if live:
                    await asyncio.sleep(captured / 1e6 + seconds - time.monotonic())
                await ws.send(pack(pcm[at:at + chunk], sequence, captured))
            await ws.send(json.dumps({"type": "stop"}))

        sender = asyncio.create_task(send())
        reply, trips, ledger = bytearray(), [], None
        try:
            async for message in ws:  # ends with close code 1000, after "drained"
                if isinstance(message, bytes):
                    _, _, captured, audio = unpack(message)
                    reply += audio
                    trips.append((time.monotonic_ns() // 1000 - captured) / 1000)
                elif (message := check(message))["type"] == "drained":
                    ledger = message["ledger"]
                elif message["type"] == "notice":
                    print("notice:", message["message"], file=sys.stderr)
        finally:
            sender.cancel()
        return bytes(reply), trips, ledger


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("infile")
    args.add_argument("outfile")
    args.add_argument("--url", default="ws://127.0.0.1:8484")
    args.add_argument("--voice")
    args.add_argument("--pitch")
    args.add_argument("--token")
    args.add_argument("--fast", action="store_true", help="not in real time, but as fast as the daemon converts")
    args = args.parse_args()
    with wave.open(args.infile) as f:
        rate, channels, width, pcm = f.getframerate(), f.getnchannels(), f.getsampwidth(), f.readframes(f.getnframes())
    if width != 2:
        sys.exit(f"{args.infile}: {8 * width} bits, want 16")
    start = {"type": "start", "format": {"encoding": "s16le", "rate": rate, "channels": channels}}
    if args.voice:
        start["voice"] = args.voice
    if args.pitch:
        start["pitch_shift_semitones"] = "auto" if args.pitch == "auto" else float(args.pitch)
    url = args.url + "/v1/stream"
    if args.token:
        url += "?" + urllib.parse.urlencode({"token": args.token})
    try:
        reply, trips, ledger = asyncio.run(convert(url, start, pcm, live=not args.fast))
    except Refused as e:
        sys.exit(str(e))
    with wave.open(args.outfile, "wb") as f:
        f.setnchannels(channels)
        f.setsampwidth(2)
        f.setframerate(rate)
        f.writeframes(reply)
    print(f"{ledger['in']} frames in, {ledger['out']} out")
    if not args.fast and trips:
        trips.sort()
        print(f"half the replies came back within {trips[len(trips) // 2]:.0f} ms of their capture")


if __name__ == "__main__":
    main()
