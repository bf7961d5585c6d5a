import { $, el } from "./dom.js";
import { address, keepToken, takeTokenFromAddress, whenTokenIsNeeded } from "./api.js";
import { Console } from "./console.js";
import { clock } from "./figures.js";
import { Feed } from "./feed.js";
import { Live } from "./live.js";
import { hide, show } from "./notices.js";
import { Profiles } from "./profiles.js";
import { SoundCard } from "./soundcard.js";
import { Songs } from "./songs.js";
import { Voices } from "./voices.js";
import { sentence, tell } from "./words.js";

const NAMES = { cpu: "CPU", cuda: "CUDA", tensorrt: "TensorRT", auto: "automatic" };
const VIEWS = ["live", "songs", "voices"];

whenTokenIsNeeded(askToken());

const voices = new Voices();
const live = new Live();
const desk = new Console(live, voices);
const views = { songs: new Songs(voices), voices: new Profiles(voices) };
const card = new SoundCard(voices);
const feed = new Feed();
let away = true;

feed.addEventListener("status", ({ detail }) => {
  if (away && detail.state === "running") {
    away = false;
    loadVoices();
  }
  hide("gone");
  provider(detail);
  desk.watch(detail);
  card.watch(detail);
});
feed.addEventListener("gone", ({ detail }) => {
  away = true;
  badge("bad", "no daemon");
  show(`${tell(detail)} Trying to reach it again.`, { mood: "bad", id: "gone" });
});
for (const link of document.querySelectorAll(".foot a")) link.onclick = () => (link.href = address(link.pathname)); // with the token
addEventListener("hashchange", route);
voices.addEventListener("change", route); // a daemon that has come up has more to show
route();
feed.open();

async function loadVoices() {
  try {
    await voices.load();
  } catch (err) {
    away = true; // the next look at the daemon tries again
    show(tell(err), { mood: "bad", id: "voices" });
  }
}

function route() {
  takeTokenFromAddress();
  const view = VIEWS.find((name) => location.hash === `#${name}`) ?? VIEWS[0];
  for (const name of VIEWS) $(`view-${name}`).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = view[0].toUpperCase() + view.slice(1);
  document.title = view === "live" ? "autovoiced" : `${title} · autovoiced`;
  $("view-title").textContent = title;
  views[view]?.open();
}

function badge(mood, text) {
  $("provider").dataset.mood = mood;
  $("provider-short").textContent = text;
}

// provider tells what was asked for from what runs: a substitute must not look like the real thing.
function provider({ provider: p, version, state, building }) {
  const fits = p.requested === p.active || p.requested === "auto";
  const active = `${NAMES[p.active] ?? p.active} · ${p.precision}`;
  badge(fits ? "good" : "warn", fits ? active : `${active}, not ${NAMES[p.requested] ?? p.requested}`);
  if (building) {
    const about = building.estimate_seconds ? ` of about ${clock(building.estimate_seconds)}` : "";
    badge("warn", building.waiting ? "another process builds an engine" : `building an engine, ${clock(building.elapsed_seconds)}${about}`);
  }
  const nodes = Object.entries(p.nodes ?? {}).map(([name, n]) => `${n} on ${NAMES[name] ?? name}`);
  const rows = [
    ["Asked for", NAMES[p.requested] ?? p.requested],
    ["Runs on", NAMES[p.active] ?? p.active],
    ["Precision", p.precision],
    ["Nodes of the model", nodes.join(", ") || "none"],
    ["TensorRT", p.tensorrt?.enabled ? `proven, ${p.tensorrt.precision}` : p.tensorrt?.requested ? "asked for, not in use" : "not asked for"],
  ];
  $("provider-list").replaceChildren(...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  $("provider-note").hidden = !p.note;
  $("provider-note").textContent = sentence(p.note);
  $("foot").textContent = `autovoiced ${version}${state === "running" ? "" : `, ${state}`}`;
}

// askToken gives a function that asks once, however many want to know at a time.
function askToken() {
  let asking = null;
  const ask = () =>
    new Promise((resolve) => {
      const dialog = $("token");
      dialog.onclose = () => {
        const token = dialog.returnValue ? $("token-value").value : "";
        if (token) keepToken(token);
        asking = null;
        resolve(token || null);
      };
      $("token-value").value = "";
      dialog.returnValue = "";
      dialog.showModal();
    });
  return () => (asking ??= ask());
}
