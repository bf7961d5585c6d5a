import { $, colour, el, fit } from "./dom.js";
import { number, whole } from "./figures.js";

const STAGES = ["separation", "f0_extraction", "conversion", "mixing"];
const NAMES = { separation: "Separation", f0_extraction: "Pitch", conversion: "Conversion", mixing: "Mixing", total: "Capture to delivery" };
const BAR = 6; // CSS pixels
const GAP = 2;
const KEPT = 200;

// Stages shows where a session's time goes: a bar of stacked stages for each look, against the chunk's budget; a table; the ledger.
export class Stages {
  #bars = []; // [{stage: µs, waits: µs}], the newest last
  #budget = 10000; // µs
  #of = "";

  constructor() {
    document.addEventListener("theme", () => this.#draw());
    new ResizeObserver(() => this.#draw()).observe($("stages-chart"));
  }

  // show takes a look at a session: {id, chunk_ms, stages, total, waits, ledger…}.
  show(session) {
    if (session.id !== this.#of) [this.#bars, this.#of] = [[], session.id];
    this.#budget = session.chunk_ms * 1000;
    if (!session.stages?.length) return;
    const bar = { waits: session.waits?.sink_us?.last ?? 0 };
    for (const { name, compute_us, wait_us } of session.stages) {
      bar[name] = compute_us.last;
      bar.waits += wait_us.last;
    }
    this.#bars.push(bar);
    this.#bars.splice(0, this.#bars.length - KEPT);
    this.#draw();
    this.#fill(session);
    this.#account(session);
  }

  #draw() {
    const canvas = $("stages-chart");
    const ctx = fit(canvas);
    if (!ctx) return;
    const s = ctx.scale;
    const { width, height } = canvas;
    const left = 40 * s;
    const top = 8 * s;
    const worst = Math.max(...this.#bars.map(sum), 0);
    const most = Math.max(this.#budget * 1.1, Math.min(worst * 1.05, this.#budget * 4));
    const y = (us) => height - 4 * s - (Math.min(us, most) / most) * (height - top - 4 * s);
    ctx.clearRect(0, 0, width, height);
    this.#grid(ctx, { left, y, most });
    this.#bars.toReversed().forEach((bar, i) => {
      const x = width - (i + 1) * (BAR + GAP) * s;
      if (x < left) return;
      let under = 0;
      for (const stage of [...STAGES, "waits"]) {
        const over = under + (bar[stage] ?? 0);
        ctx.fillStyle = colour(stage);
        ctx.fillRect(x, y(over), BAR * s, Math.max(0, y(under) - y(over)));
        under = over;
      }
    });
    canvas.setAttribute("aria-label", `Time of each stage in each chunk against its budget of ${number(this.#budget / 1000, 0)} ms; the numbers are in the table below`);
  }

  #grid(ctx, { left, y, most }) {
    const s = ctx.scale;
    ctx.font = `${11 * s}px Inter, system-ui, sans-serif`;
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    ctx.lineWidth = s;
    const step = (this.#budget / 2) * Math.ceil(most / this.#budget / 2);
    for (let us = 0; us <= most; us += step) {
      const budget = Math.abs(us - this.#budget) < 1;
      ctx.strokeStyle = budget ? colour("bad") : colour("line");
      ctx.setLineDash(budget ? [5 * s, 4 * s] : []);
      ctx.beginPath();
      ctx.moveTo(left, Math.round(y(us)) + 0.5);
      ctx.lineTo(ctx.canvas.width, Math.round(y(us)) + 0.5);
      ctx.stroke();
      ctx.fillStyle = budget ? colour("bad") : colour("dim");
      ctx.fillText(budget ? `${us / 1000} ms` : `${us / 1000}`, left - 6 * s, y(us));
    }
    ctx.setLineDash([]);
  }

  #fill({ stages, total }) {
    $("stages-table").tBodies[0].replaceChildren(
      ...[...stages, total].map(({ name, mode, compute_us, wait_us, queue_len }) => {
        const head = el("th", { scope: "row" }, NAMES[name] ?? name);
        if (name !== "total") head.style.setProperty("--colour", `var(--${name})`);
        const recent = compute_us.recent?.count ? compute_us.recent : compute_us;
        const cells = [recent.p50, recent.p95, recent.p99, recent.max].map((us) => el("td", {}, time(us)));
        const wait = name === "total" ? "" : time((wait_us.recent ?? wait_us).p99);
        return el("tr", { "data-stage": name }, head, el("td", {}, mode ?? ""), ...cells, el("td", {}, wait), el("td", {}, String(queue_len)));
      }),
    );
  }

  #account({ ledger, load_percent, rtf, overloads, discontinuities, chunk_ms, format }) {
    $("stages-load").textContent = `chunks of ${chunk_ms} ms · load ${number(load_percent, 0)} % · RTF ${number(rtf, 2)}`;
    const drops = Object.entries(ledger.dropped ?? {});
    const dropped = drops.reduce((n, [, frames]) => n + frames, 0);
    const exact = ledger.in === ledger.out + dropped + ledger.in_flight;
    $("ledger-in").textContent = whole(ledger.in);
    $("ledger-out").textContent = whole(ledger.out);
    $("ledger-dropped").textContent = dropped ? drops.map(([why, frames]) => `${whole(frames)} ${why.replaceAll("_", " ")}`).join(", ") : "none";
    $("ledger-dropped").className = dropped ? "warn" : "";
    $("ledger-flight").textContent = `${whole(ledger.in_flight)} (${number((1000 * ledger.in_flight) / (format?.rate || 48000), 0)} ms)`;
    $("ledger-sum").textContent = exact ? "adds up" : "does not add up";
    $("ledger-sum").className = exact ? "good" : "bad";
    $("ledger-late").textContent = `${whole(overloads)}${discontinuities ? `, ${whole(discontinuities)} breaks` : ""}`;
  }
}

const sum = (bar) => STAGES.reduce((all, stage) => all + (bar[stage] ?? 0), bar.waits);

const time = (us) => (us < 1000 ? `${whole(us)} µs` : `${number(us / 1000, us < 9950 ? 2 : 1)} ms`);
