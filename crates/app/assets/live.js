// Keeps an open page up to date: on word that counts have changed it fetches the same page again
// and takes over the parts marked data-live. Without it the page is whole, and stands still.
"use strict";
(() => {
  const every = 1000;
  const atLeastEvery = 30000;
  const mark = document.getElementById("live");
  const news = document.getElementById("news");
  // A page of which nothing follows but the menu does not say that it is live.
  const follows = document.querySelector("main [data-live]") !== null;
  let busy = false;
  let again = false;
  let last = 0;
  let timer = 0;

  function say(text) {
    if (!mark || !follows) return;
    mark.hidden = false;
    if (mark.textContent !== text) mark.textContent = text;
  }

  function soon() {
    again = true;
    if (busy || timer || document.hidden) return;
    timer = setTimeout(refresh, Math.max(0, last + every - Date.now()));
  }

  async function refresh() {
    timer = 0;
    busy = true;
    again = false;
    last = Date.now();
    try {
      const answer = await fetch(location.href, { cache: "no-store", headers: { "x-selvedge-live": "1" } });
      // Signed out meanwhile: the page would show what nobody may see any more.
      if (answer.redirected && new URL(answer.url).pathname === "/login") return location.reload();
      if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // The events tell when it is there again.
    }
    busy = false;
    if (again) soon();
  }

  // What somebody reads, types or marks just now is left alone.
  function inUse(part) {
    const active = document.activeElement;
    const selection = getSelection();
    return (
      (part.contains(active) && active.matches("input, select, textarea")) ||
      (selection && !selection.isCollapsed && part.contains(selection.anchorNode))
    );
  }

  function swap(fresh) {
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (!next || part.innerHTML === next.innerHTML || inUse(part)) continue;
      const before = new Map();
      for (const each of part.querySelectorAll("[data-n]")) before.set(each.dataset.n, each.textContent);
      merge(part, next);
      const moved = [...part.querySelectorAll("[data-n]")].filter((each) => (before.get(each.dataset.n) ?? each.textContent) !== each.textContent);
      // Read once in between, so that what moves again is shown again.
      if (moved.length) void part.offsetWidth;
      for (const each of moved) each.classList.add("moved");
    }
    document.title = fresh.title;
    const says = document.getElementById("says");
    if (news && says && news.textContent !== says.textContent) news.textContent = says.textContent;
  }

  if (!("EventSource" in window)) return;
  // The server ends the stream each minute and looks anew who may read on; a pause that short is none.
  const patience = 4000;
  const refused = 10000;
  let events = null;
  let away = 0;

  function watch() {
    // A browser grants a host six connections: pages that nobody sees hold none.
    if (events || document.hidden) return;
    events = new EventSource("/live");
    events.addEventListener("open", () => {
      clearTimeout(away);
      away = 0;
      say("Live");
    });
    events.addEventListener("error", (error) => {
      away ||= setTimeout(() => say("Not connected; this page may be out of date"), patience);
      // One that was refused is not opened again by itself.
      if (error.target.readyState !== EventSource.CLOSED || error.target !== events) return;
      events = null;
      setTimeout(watch, refused);
    });
    events.addEventListener("pulse", soon);
  }

  function unwatch() {
    events?.close();
    events = null;
    clearTimeout(away);
    away = 0;
  }

  watch();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return unwatch();
    watch();
    soon();
  });
  setInterval(soon, atLeastEvery);
  addEventListener("pagehide", unwatch);
  addEventListener("pageshow", (event) => event.persisted && location.reload());
})();
