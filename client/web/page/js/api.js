import { Fault } from "./wire.js";

const KEY = "autovoiced.token";

// A link may bring the token along, as in http://host:8484/#token=…; it is kept for this tab and taken off the address.
export function takeTokenFromAddress() {
  const found = /[#&]token=([^&]+)/.exec(location.hash);
  if (!found) return;
  keepToken(decodeURIComponent(found[1]));
  history.replaceState(null, "", location.pathname + location.search);
}

export const keepToken = (token) => sessionStorage.setItem(KEY, token);

const token = () => sessionStorage.getItem(KEY) ?? "";

// address gives a path of the daemon with the token in it, for what cannot send headers. ws: as a socket.
export function address(path, { ws = false } = {}) {
  const url = new URL(path, location.origin);
  if (ws) url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (token()) url.searchParams.set("token", token());
  return url.href;
}

let askToken = async () => null;

// whenTokenIsNeeded names who asks the user; it resolves to the token, or null for none.
export function whenTokenIsNeeded(ask) {
  askToken = ask;
}

// call asks the daemon. It throws a Fault: of the daemon, or "gone" when nobody answers.
export async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (err) {
    if (err.name === "AbortError") throw err;
    throw new Fault("gone", "the daemon does not answer", "", true);
  }
  if (answer.ok) return answer;
  const fault = await faultOf(answer);
  if (fault.code === "unauthorized" && answer.status === 401) {
    const given = await askToken(fault);
    if (given) {
      keepToken(given);
      return call(path, options);
    }
  }
  throw fault;
}

async function faultOf(answer) {
  try {
    const { code, message, param, retryable } = await answer.json();
    return new Fault(code ?? "internal", message ?? answer.statusText, param, retryable);
  } catch {
    return new Fault(answer.status === 404 ? "not_found" : "internal", `the daemon answered ${answer.status} ${answer.statusText}`);
  }
}

export const json = async (path, options) => (await call(path, options)).json();

// upload posts a form and tells how much of it has left, 0 to 1. It resolves to the JSON of the answer.
export function upload(path, form, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    if (token()) request.setRequestHeader("Authorization", `Bearer ${token()}`);
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    request.onload = () => {
      let body = {};
      try {
        body = JSON.parse(request.responseText);
      } catch {
        // told below by the status alone
      }
      if (request.status >= 200 && request.status < 300) resolve(body);
      else reject(new Fault(body.code ?? (request.status === 404 ? "not_found" : "internal"), body.message ?? `the daemon answered ${request.status}`, body.param, body.retryable));
    };
    request.onerror = () => reject(new Fault("gone", "the daemon does not answer", "", true));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}
