// Figures keeps the measurements of the last few seconds and knows their percentiles.
export class Figures {
  constructor(seconds = 10) {
    this.seconds = seconds;
    this.all = []; // {at, value}, oldest first
    this.count = 0; // since the start
  }

  add(values, now = performance.now()) {
    for (const value of values) this.all.push({ at: now, value });
    this.count += values.length;
    const old = this.all.findIndex(({ at }) => now - at <= this.seconds * 1000);
    this.all.splice(0, old < 0 ? this.all.length : old);
  }

  clear() {
    this.all = [];
    this.count = 0;
  }

  // percentiles gives one value for each share, or null with nothing measured.
  percentiles(...shares) {
    if (this.all.length === 0) return null;
    const sorted = this.all.map(({ value }) => value).sort((a, b) => a - b);
    return shares.map((share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]);
  }
}

export const number = (v, digits = 1) => (Number.isFinite(v) ? v.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }) : "–");
export const whole = (v) => (Number.isFinite(v) ? Math.round(v).toLocaleString("en") : "–");

export function clock(seconds) {
  if (!Number.isFinite(seconds)) return "–:––";
  const s = Math.max(0, Math.round(seconds));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}
