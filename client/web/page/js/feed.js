import { address, call } from "./api.js";
import { hear } from "./wire.js";

const HZ = 4;
const RETRIES = [250, 500, 1000, 2000, 4000];

// Feed is the daemon's status: events "status" with each look, "gone" with a Fault when it cannot be had, and again "status" when it can.
export class Feed extends EventTarget {
  #attempt = 0;
  #told = false;

  async open() {
    try {
      const status = await (await call("/v1/status")).json();
      this.#heard(status);
    } catch (err) {
      this.#lost(err);
      return;
    }
    const socket = new WebSocket(address(`/v1/status?hz=${HZ}`, { ws: true }));
    socket.onmessage = ({ data }) => {
      const message = hear(data);
      if (message.type === "status") this.#heard(message);
    };
    socket.onclose = () => this.#again();
  }

  #heard(status) {
    this.#attempt = 0;
    this.#told = false;
    this.dispatchEvent(new CustomEvent("status", { detail: status }));
  }

  #lost(err) {
    if (!this.#told) this.dispatchEvent(new CustomEvent("gone", { detail: err }));
    this.#told = true;
    this.#again();
  }

  #again() {
    const wait = RETRIES[Math.min(this.#attempt++, RETRIES.length - 1)];
    setTimeout(() => this.open(), wait);
  }
}
