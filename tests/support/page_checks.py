"""What every page keeps to, asked of a browser: room, cut texts, targets, contrast."""

from typing import Final

SIDEWAYS: Final = (
    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
)
"""CSS pixels by which the page is wider than the screen.

Not ``innerWidth``: a phone zooms out of a page that is too wide, and that grows along.
"""

_VISIBLE: Final = """
const screenWidth = document.documentElement.clientWidth;
const isShown = (e) => e.checkVisibility({ visibilityProperty: true })
  && e.getClientRects().length > 0
  && getComputedStyle(e).clipPath === "none" && !e.closest("thead, [hidden]");
const name = (e) => e.tagName.toLowerCase() + "." + e.className + ": "
  + (e.textContent || e.name || "").trim().slice(0, 60);
"""

CUT_TEXTS: Final = (
    f"(() => {{ {_VISIBLE}"
    """
const found = [];
for (const e of document.body.querySelectorAll("*")) {
  if (!isShown(e) || !e.textContent.trim() || e.closest("svg, canvas, script, style"))
    continue;
  const style = getComputedStyle(e);
  const hides = /hidden|clip|auto|scroll/.test(style.overflowX);
  if (hides && e.scrollWidth > e.clientWidth + 1) found.push("cut " + name(e));
  const box = e.getBoundingClientRect();
  if (box.right > screenWidth + 1 || box.left < -1) found.push("outside " + name(e));
  if (style.display === "inline") continue;
  for (const text of e.childNodes) {
    if (text.nodeType !== Node.TEXT_NODE || !text.data.trim()) continue;
    const range = document.createRange(); range.selectNodeContents(text);
    const right = Math.max(...Array.from(range.getClientRects(), (r) => r.right));
    if (right > box.right + 1) found.push("spills " + name(e));
  }
}
return found; })()"""
)
"""Elements whose text does not fit into them, or that stand beyond the window."""

SMALL_TARGETS: Final = (
    f"(() => {{ {_VISIBLE}"
    """
const found = [];
const targets = "a[href], button, input, select, textarea, summary, [tabindex='0']";
for (const e of document.querySelectorAll(targets)) {
  if (!isShown(e)) continue;
  const whole = e.closest(".tile") || e;
  const box = whole.getBoundingClientRect();
  if (box.height < 39.5 || box.width < 39.5)
    found.push(Math.round(box.width) + "x" + Math.round(box.height) + " " + name(e));
}
return found; })()"""
)
"""What can be tapped and is smaller than 40 CSS pixels."""

UNREACHABLE: Final = (
    f"(() => {{ {_VISIBLE}"
    """
const found = [];
for (const e of document.querySelectorAll("a, button, input, summary")) {
  if (isShown(e) && (e.tabIndex < 0 || (e.tagName === "A" && !e.href)))
    found.push(name(e));
}
return found; })()"""
)
"""Controls that no Tab key reaches."""

LOW_CONTRAST: Final = (
    f"(() => {{ {_VISIBLE}"
    """
const canvas = document.createElement("canvas").getContext("2d",
  { willReadFrequently: true });
const rgba = (text) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
};
const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i]
  * (1 - top[3])).concat(1);
const luminance = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, part, i) => {
  const v = c[i] / 255;
  return sum + part * (v <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4));
}, 0);
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const e = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !isShown(e)
    || e.closest("svg, script, style, noscript")) continue;
  const chain = []; for (let one = e; one; one = one.parentElement) chain.push(one);
  let under = [255, 255, 255, 1], opacity = 1;
  for (const one of chain.reverse()) {
    const style = getComputedStyle(one);
    under = over(rgba(style.backgroundColor), under); opacity *= Number(style.opacity);
  }
  const style = getComputedStyle(e);
  const ink = rgba(style.color); ink[3] *= opacity;
  const pair = [luminance(over(ink, under)), luminance(under)].sort((a, b) => b - a);
  const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  if (ratio < (isLarge ? 3 : 4.5)) found.push(ratio.toFixed(2) + " " + name(e));
}
return [...new Set(found)]; })()"""
)
"""Texts below the contrast of WCAG 2.1 AA (1.4.3), by their computed colours."""
