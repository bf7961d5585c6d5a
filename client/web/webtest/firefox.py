#!/usr/bin/env python3
"""Speaks on the page in Firefox, with its pretended microphone (a tone) and a sound card that PulseAudio pretends.

    firefox.py PROGRAM [FOLDER for pictures]

`make firefox` installs what it needs and runs it; it takes half a minute. Firefox is driven by WebDriver BiDi, without a driver between.
"""

import asyncio
import base64
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

import websockets

PREFERENCES = {
    "media.navigator.streams.fake": True,  # a microphone that is not there
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "remote.active-protocols": 1,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.update.enabled": False,
}
PATIENCE = 90  # seconds


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Firefox:
    """One window, as far as a test needs it."""

    def __init__(self, ws):
        self.ws, self.ids, self.answers, self.faults = ws, 0, {}, []
        self.reader = asyncio.create_task(self.read())

    async def read(self):
        async for text in self.ws:
            message = json.loads(text)
            if message.get("type") == "event":
                entry = message["params"]
                if entry.get("level") in ("error", "warn"):
                    self.faults.append(f"{entry['level']}: {entry['text']}")
            elif message.get("id") in self.answers:
                self.answers.pop(message["id"]).set_result(message)

    async def call(self, method, **params):
        self.ids += 1
        answer = self.answers[self.ids] = asyncio.get_running_loop().create_future()
        await self.ws.send(json.dumps({"id": self.ids, "method": method, "params": params}))
        message = await asyncio.wait_for(answer, PATIENCE)
        if message["type"] == "error":
            sys.exit(f"{method}: {message['message']}")
        return message["result"]

    async def open(self, url):
        await self.call("session.new", capabilities={})
        await self.call("session.subscribe", events=["log.entryAdded"])
        self.context = (await self.call("browsingContext.getTree"))["contexts"][0]["context"]
        await self.call("browsingContext.setViewport", context=self.context, viewport={"width": 1280, "height": 800})
        await self.call("browsingContext.navigate", context=self.context, url=url, wait="complete")

    async def value(self, expression):
        """The value of an expression in the page, awaited where it is a promise."""
        result = await self.call("script.evaluate", expression=f"(async () => JSON.stringify((await ({expression})) ?? null))()",
                                 target={"context": self.context}, awaitPromise=True, userActivation=True)
        if result["type"] == "exception":
            sys.exit(f"{expression}: {result['exceptionDetails']['text']}")
        return json.loads(result["result"]["value"])

    async def until(self, what, expression):
        for _ in range(4 * PATIENCE):
            if await self.value(expression):
                return
            await asyncio.sleep(0.25)
        notices = await self.value('document.getElementById("notices").textContent')
        sys.exit(f"waited {PATIENCE} s for {what}; the page says: {notices!r}, the console: {self.faults}")

    async def click(self, selector):
        await self.value(f"document.querySelector({selector!r}).click()")

    async def picture(self, path):
        data = await self.call("browsingContext.captureScreenshot", context=self.context)
        path.write_bytes(base64.b64decode(data["data"]))


async def connect(port):
    for _ in range(4 * PATIENCE):
        try:
            return await websockets.connect(f"ws://127.0.0.1:{port}/session", max_size=None, ping_interval=None)
        except OSError:
            await asyncio.sleep(0.25)
    sys.exit("Firefox does not start")


async def speak(page, url, pictures):
    await page.open(url)
    await page.until("the voices", 'document.querySelectorAll("#voice-list input").length > 3')
    await page.click("#start")
    await page.until("the voice to speak", 'document.getElementById("live-state").dataset.state === "live"')
    count = 'Number(document.getElementById("trip-p50").dataset.count || 0)'
    await page.until("replies", f"{count} > 300")
    await page.click("#voice-list [value=otto]")
    await page.click("#record")
    await asyncio.sleep(5)
    await page.click("#record")
    await page.until("the recording", 'document.querySelectorAll("#compare a[download]").length === 2')
    takes = await page.value("""Promise.all([...document.querySelectorAll("#compare a[download]")].map(async ({href}) => {
        const samples = new Int16Array(await (await fetch(href)).arrayBuffer(), 44);
        return {samples: samples.length, rms: Math.sqrt(samples.reduce((sum, v) => sum + v * v, 0) / samples.length) / 32768};
    }))""")
    said, heard = takes
    if said["samples"] != heard["samples"] or said["samples"] < 4 * 44100 or min(said["rms"], heard["rms"]) < 0.001:
        sys.exit(f"said {said}, heard {heard}: want two recordings of the same length with sound in them")
    await page.until("the ledger", 'document.getElementById("ledger-sum").textContent === "adds up"')
    trip = await page.value('({...document.getElementById("trip-p50").dataset})')
    if pictures:
        await page.picture(pictures / "firefox.png")
    await page.click("#start")
    await page.until("the end", 'document.getElementById("live-state").dataset.state === "off"')
    if page.faults:
        sys.exit("the console says:\n" + "\n".join(page.faults))
    version = (await page.value("navigator.userAgent")).split("/")[-1]
    print(f"Firefox {version}: spoken and heard {said['samples']} samples each, round trip p50 {trip['p50']} ms, p99 {trip['p99']} ms, no console errors")


async def main(program, pictures):
    with tempfile.TemporaryDirectory(prefix="autovoiced-firefox") as folder, open(folder + "/log", "w+") as log:
        port, http = free_port(), free_port()
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
        pathlib.Path(folder, "user.js").write_text("\n".join(lines))
        env = {**os.environ, "XDG_RUNTIME_DIR": folder, "AUTOVOICED_HTTP_LISTEN": f"127.0.0.1:{http}", "AUTOVOICED_AUDIO_ENABLED": "false"}
        started = [subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log) for command in (
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "-L", "module-null-sink", "-L", "module-native-protocol-unix"],
            [program],
            ["firefox-esr", "--headless", "--no-remote", "--profile", folder, "--remote-debugging-port", str(port)],
        )]
        try:
            await speak(Firefox(await connect(port)), f"http://127.0.0.1:{http}", pictures)
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    asyncio.run(main(os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None))
