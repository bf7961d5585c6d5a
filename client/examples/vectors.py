#!/usr/bin/env python3
"""Holds convert.py to the vectors in testdata/wire, as the Go package and the page are held to them.

A client in another language can be tested in the same way: frames.json lists binary messages, each with the header and
the samples that are in it ("mono"), or with the error that it is; messages.json lists JSON messages.
"""

import json
import pathlib
import sys

import convert

VECTORS = pathlib.Path(__file__).parents[2] / "testdata" / "wire"


def want(what, got, expected):
    if got != expected:
        sys.exit(f"{what}: got {got!r}, want {expected!r}")


def main():
    frames = json.loads((VECTORS / "frames.json").read_text())
    for good in frames["good"]:
        frame, pcm = (VECTORS / good["file"]).read_bytes(), None
        if good.get("header"):
            flags, sequence, captured, pcm = convert.unpack(frame)
            header = {"flags": flags, "sequence": sequence, "captured_us": captured}
            want(good["file"], header, good["header"])
            want(good["file"] + ", packed again", convert.pack(pcm, sequence, captured, flags), frame)
        else:
            pcm = frame
        format = good["format"]
        want(good["file"], convert.samples(format["encoding"], format["channels"], pcm), good["mono"])
    for bad in frames["bad"]:
        try:
            pcm = convert.unpack((VECTORS / bad["file"]).read_bytes())[3]
            convert.samples(bad["format"]["encoding"], bad["format"]["channels"], pcm)
            code = "no error"
        except convert.Refused as e:
            code = e.code
        want(bad["file"], code, bad["error"])
    server = json.loads((VECTORS / "messages.json").read_text())["server"]
    for message in server:
        try:
            want(message["name"], convert.check(json.dumps(message["json"])), message["json"])
        except convert.Refused as e:
            want(message["name"], message["json"]["type"], "error")
            want(message["name"], e.code, message["json"]["code"])
    print(f"{len(frames['good'])} good and {len(frames['bad'])} bad frames, {len(server)} messages")


if __name__ == "__main__":
    main()
