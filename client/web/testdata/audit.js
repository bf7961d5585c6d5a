// An expression for tests: what a person with weak sight would stumble over, in words. Text must stand out from its ground by 4.5 : 1,
// large text by 3 : 1 (WCAG 2 AA), controls must be as large as a finger tip, and nothing may reach past the screen.
(() => {
  const found = [];
  const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (css) => {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = css;
    probe.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = probe.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255, 1]);
  };
  const luminance = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const contrast = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const shown = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && node.getBoundingClientRect().width > 2;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !shown(node) || node.closest(":disabled, svg, select, .unseen, .skip")) continue;
    const style = getComputedStyle(node);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const under = ground(node);
    const ratio = contrast(over(rgba(style.color), under), under);
    if (ratio < (large ? 3 : 4.5)) found.push(`"${text.data.trim().slice(0, 40)}" has a contrast of ${ratio.toFixed(2)}`);
  }
  for (const control of document.querySelectorAll("button, select, a, input:not([type=file])")) {
    if (!shown(control) || control.closest(".foot, .unseen, .skip, p")) continue;
    const { width, height } = (control.closest("label") ?? control).getBoundingClientRect();
    if (Math.min(width, height) < 20) found.push(`${control.outerHTML.slice(0, 60)} is ${width.toFixed(0)} × ${height.toFixed(0)}`);
  }
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) found.push(`the page is ${wide} pixels wider than the screen`);
  return found;
})()
