const KEY = "autovoiced.settings";

// settings are what the user chose, kept in this browser.
export const settings = {
  voice: "",
  pitch: "auto",
  semitones: 0,
  blend: 100,
  gain: 0,
  gate: true,
  threshold: -50,
  input: "",
  output: "",
  talk: false,
  steady: false,
  echo: false,
  noise: false,
  agc: false,
};

try {
  const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
  for (const key of Object.keys(settings)) if (typeof kept[key] === typeof settings[key]) settings[key] = kept[key];
} catch {
  // damaged or forbidden: the defaults do
}

export function set(key, value) {
  settings[key] = value;
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // a private window may forbid it: then it is not kept
  }
}
