import { $, press } from "./dom.js";
import { call } from "./api.js";
import { whole } from "./figures.js";
import { show } from "./notices.js";
import { tell } from "./words.js";

const STATES = { starting: "starting", running: "running", reconnecting: "lost, trying again", failed: "failed", closed: "closed", stopped: "stopped" };

// SoundCard is the conversation that the daemon holds through its own sound card, seen and changed from here.
export class SoundCard {
  #session = null;

  constructor(voices) {
    voices.addEventListener("change", () => $("card-voice").replaceChildren(...voices.all.map(({ name }) => new Option(name))));
    $("card-voice").onchange = ({ target }) => {
      const { kind, name } = voices.find(target.value);
      this.#change(kind === "profile" ? { profile: name } : { voice: name });
    };
    $("card-mute").onclick = () => this.#change({ mute: !this.#session.settings.mute });
    $("card-monitor").onclick = () => this.#change({ monitor: !this.#session.settings.monitor });
  }

  // watch takes a look at the daemon.
  watch({ device, sessions }) {
    this.#session = sessions.find(({ kind }) => kind === "device") ?? null;
    $("card").hidden = !(device.state in STATES);
    $("card-state").textContent = STATES[device.state] ?? device.state;
    $("card-devices").textContent = device.error || [device.input, device.output].filter(Boolean).join(" → ");
    const { input_overflow, input_underflow, output_overflow, output_underflow, rebuffers, catchups } = device.xruns;
    $("card-xruns").textContent = whole(input_overflow + input_underflow + output_overflow + output_underflow);
    $("card-gaps").textContent = whole(rebuffers);
    $("card-catchups").textContent = whole(catchups);
    $("card-drift").textContent = `${whole(device.drift_ppm)} ppm`;
    for (const id of ["card-voice", "card-mute", "card-monitor"]) $(id).disabled = !this.#session?.settings;
    if (!this.#session?.settings) return;
    if (document.activeElement !== $("card-voice")) $("card-voice").value = this.#session.voice;
    this.#show(this.#session.settings);
  }

  #show(settings) {
    this.#session.settings = settings;
    press($("card-mute"), settings.mute);
    press($("card-monitor"), settings.monitor);
  }

  async #change(fields) {
    try {
      const answer = await call(`/v1/sessions/${encodeURIComponent(this.#session.id)}`, {
        method: "PATCH",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(fields),
      });
      this.#show((await answer.json()).settings); // the next look comes later, and a second press may come sooner
    } catch (err) {
      show(tell(err), { mood: "bad", id: "card" });
    }
  }
}
