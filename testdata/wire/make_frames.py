#!/usr/bin/env python3
"""Write the binary vectors of protocol v1 beside this script, and frames.json which describes them.

An implementation of its own, from client/wire/README.md and nothing else: the Go package must
agree with these bytes.
"""
import json
import math
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
TONE = [round(0.5 * math.sin(2 * math.pi * 440 * n / 16000) * 32768) / 32768 for n in range(160)]
EDGES = [0.0, 0.5, -0.5, 1 / 32768, -1 / 32768, 32767 / 32768, -1.0, 0.25]


def pcm(encoding, channels, mono):
    code = {"s16le": "<h", "f32le": "<f"}[encoding]
    scale = 32768 if encoding == "s16le" else 1
    kind = int if encoding == "s16le" else float
    return b"".join(struct.pack(code, kind(v * scale)) for v in mono for _ in range(channels))


def vector(name, encoding, rate, channels, mono, flags=0, sequence=0, captured=0, raw=False):
    header = b"" if raw else struct.pack("<BBHIQ", 1, flags, 0, sequence, captured)
    (HERE / f"{name}.bin").write_bytes(header + pcm(encoding, channels, mono))
    return {
        "file": f"{name}.bin",
        "framing": "raw" if raw else "header",
        "header": None if raw else {"flags": flags, "sequence": sequence, "captured_us": captured},
        "format": {"encoding": encoding, "rate": rate, "channels": channels},
        "mono": mono,
    }


def bad(name, data, code, why):
    (HERE / f"{name}.bin").write_bytes(data)
    return {"file": f"{name}.bin", "error": code, "why": why}


good = [
    vector("frame_s16_mono_tone", "s16le", 16000, 1, TONE, sequence=0, captured=0),
    vector("frame_s16_stereo_edges", "s16le", 48000, 2, EDGES, sequence=7, captured=1234567),
    vector("frame_f32_mono_edges", "f32le", 44100, 1, EDGES, flags=1, sequence=2**32 - 1, captured=2**53),
    vector("frame_f32_stereo_empty", "f32le", 8000, 2, [], sequence=3, captured=42),
    vector("raw_s16_mono_edges", "s16le", 24000, 1, EDGES, raw=True),
]
head = struct.pack("<BBHIQ", 1, 0, 0, 0, 0)
refused = [
    bad("bad_short_header", head[:15], "bad_frame", "15 bytes: no room for the header"),
    bad("bad_version", b"\x02" + head[1:] + b"\0\0", "bad_frame", "version 2"),
    bad("bad_flags", b"\x01\x80" + head[2:] + b"\0\0", "bad_frame", "a flag that v1 does not know"),
    bad("bad_reserved", b"\x01\x00\x01\x00" + head[4:] + b"\0\0", "bad_frame", "reserved field is not zero"),
    bad("bad_odd_bytes", head + b"\0\0\0", "bad_audio", "three bytes of s16le"),
    bad("bad_nan", head + struct.pack("<2f", 0.5, math.nan), "bad_audio", "a NaN in f32le"),
    bad("bad_infinity", head + struct.pack("<2f", 0.5, -math.inf), "bad_audio", "an infinity in f32le"),
]
for entry in refused:
    entry["format"] = {"encoding": "s16le" if entry["file"] == "bad_odd_bytes.bin" else "f32le", "rate": 16000, "channels": 1}

(HERE / "frames.json").write_text(json.dumps({"good": good, "bad": refused}, indent=1) + "\n")
