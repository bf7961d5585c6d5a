export const $ = (id) => document.getElementById(id);

// el makes an element: attributes by name, listeners by "on…", children as nodes or text.
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

// press sets a button that can be in or out, and its icon and words if they change with it.
export function press(button, on, { words, sign } = {}) {
  button.setAttribute("aria-pressed", String(on));
  if (words) button.querySelector("span").textContent = words;
  if (sign) button.querySelector("use").setAttribute("href", `#i-${sign}`);
}

// colour reads one of the page's colours as CSS has it now.
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// fit makes a canvas as fine as the screen and gives its context, or null while it cannot be seen.
export function fit(canvas) {
  const scale = Math.min(2, devicePixelRatio || 1);
  const width = Math.round(canvas.clientWidth * scale);
  const height = Math.round(canvas.clientHeight * scale);
  if (width === 0 || height === 0) return null;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return Object.assign(canvas.getContext("2d"), { scale });
}

// whisper tells a screen reader what others see.
export function whisper(text) {
  $("said").textContent = text;
}
