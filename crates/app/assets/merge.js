// Makes a part of an open page like a fresh copy of it and keeps every element that stays, so that nobody loses the link that has
// the focus, the button that is just being pressed, what was typed into a field, or the place where a screen reader reads.
"use strict";

function merge(part, fresh) {
  const focus = document.activeElement;
  mergeChildren(part, fresh);
  // To move an element takes the focus off it.
  if (focus !== document.activeElement && focus.isConnected) focus.focus({ preventScroll: true });
}

function mergeChildren(into, fresh) {
  const wanted = [...fresh.childNodes];
  const left = [...into.childNodes];
  const kept = new Map();
  // First what tells of the same thing, wherever it stands now; then what only looks alike, in its order.
  for (const like of [tellsOfTheSame, isTheSame]) {
    for (const next of wanted) {
      if (kept.has(next)) continue;
      const at = left.findIndex((each) => like(each, next));
      if (at >= 0) kept.set(next, left.splice(at, 1)[0]);
    }
  }
  for (const each of left) each.remove();
  let place = into.firstChild;
  for (const next of wanted) {
    const node = kept.get(next);
    if (node === undefined) {
      into.insertBefore(document.importNode(next, true), place);
      continue;
    }
    if (node === place) place = place.nextSibling;
    else into.insertBefore(node, place);
    mergeNode(node, next);
  }
}

function mergeNode(node, next) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.data !== next.data) node.data = next.data;
    return;
  }
  for (const { name } of [...node.attributes]) {
    if (!next.hasAttribute(name) && !isTheReaders(node, name)) node.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (node.getAttribute(name) !== value && !isTheReaders(node, name)) node.setAttribute(name, value);
  }
  mergeChildren(node, next);
}

// What the reader has opened or closed, the server knows nothing of.
function isTheReaders(node, name) {
  return node.nodeName === "DETAILS" && name === "open";
}

// A link that leads elsewhere is another link: what has the focus never becomes something else.
function ownKey(node) {
  return ["id", "href", "action"].map((name) => node.getAttribute?.(name)).find(Boolean) || "";
}

// The row of a list is known by where its first link leads.
function rowKey(node) {
  return node.querySelector?.("[href]")?.getAttribute("href") || "";
}

function isTheSame(node, next) {
  return node.nodeName === next.nodeName && ownKey(node) === ownKey(next);
}

function tellsOfTheSame(node, next) {
  return isTheSame(node, next) && rowKey(node) === rowKey(next);
}
