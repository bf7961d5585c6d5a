// What to tell people when something is amiss: what happened, and what helps.

const microphone = {
  NotAllowedError: "The browser did not let this page hear the microphone. Click the sign beside the address, allow the microphone, and start again.",
  SecurityError: "The browser's settings forbid this page the microphone. Allow it for this address in the site settings.",
  NotFoundError: "No microphone was found. Plug one in or switch it on, and start again.",
  NotReadableError: "The microphone is there but does not open: another program may be holding it. Close that program, or choose another microphone.",
  OverconstrainedError: "The chosen microphone is not there any more. Choose another one.",
  AbortError: "The microphone stopped while it was being opened. Start again.",
};

const daemon = {
  gone: "The daemon does not answer. It may have been stopped, or the network is down.",
  too_many_sessions: "The daemon is full: as many voices are speaking as it allows. Wait until one ends, or raise http.max_sessions.",
  overloaded: "The machine is busy: one more voice would make all of them late. Wait until one ends, or raise http.max_load.",
  too_many_jobs: "As many songs wait as the daemon allows. Wait until one is done.",
  disk_full: "The daemon has no room left on its disk. Free some where it runs, then try again.",
  too_large: "The file is larger than the daemon takes.",
  shutting_down: "The daemon is being stopped. This page goes on when it is back.",
  unauthorized: "The daemon does not let this page in.",
  unknown_voice: "The daemon does not know that voice any more. Choose another one.",
  idle_timeout: "The conversation ended because nothing was sent for too long. Start again.",
  slow_client: "This browser could not take the replies fast enough. Close other tabs that are busy, then start again.",
  not_found: "This daemon does not know how to do that. It may be of an older version.",
  internal: "Something failed inside the daemon. Its log says more.",
};

// of an unsecured page, that browsers give no microphone.
const unsecured = () =>
  `Browsers give a microphone only to pages from this machine or over https, and this page came from ${location.origin}. ` +
  `Put the daemon behind https, or reach it through a tunnel: ssh -L 8484:localhost:${location.port || 80} ${location.hostname}, then open http://localhost:8484.`;

// tell puts an error into words.
export function tell(err) {
  if (err instanceof DOMException && microphone[err.name]) return microphone[err.name];
  if (err.code === "unsecured") return unsecured();
  const words = daemon[err.code];
  if (!words) return sentence(err.message);
  const detail = err.message && err.code !== "gone" ? ` (${err.message})` : "";
  return words.replace(/\.$/, "") + detail + ".";
}

// sentence begins with a capital, unless it begins with a file's name.
export function sentence(text) {
  const s = String(text ?? "").trim();
  const first = /^[^\n]*?\.\w+: /.test(s) ? s[0] : s[0]?.toUpperCase();
  return s ? first + s.slice(1) + (/[.!?]$/.test(s) ? "" : ".") : "";
}

// notice puts a notice of the stream into words.
export function notice({ code, message, count }) {
  const times = count > 1 ? ` (${count} times)` : "";
  if (code === "overload") return `The machine is too busy: converting takes longer than the sound lasts${times}. Close other programs, or use longer chunks (stream.chunk).`;
  if (code === "dropped_output") return `Replies were dropped because this browser reads too slowly${times}.`;
  if (code === "throttled") return `Sound came faster than real time and was held back${times}.`;
  return sentence(message);
}
