// The dashboard's script: reads a live page again every two seconds, and changes what has changed.
// The pages work without it. Focus, selection, scroll, ticked boxes and opened parts stay.
"use strict";

(() => {
  const EVERY = 2000;
  const LONGEST = 30000;
  const PAUSE = "Pause updates";
  const live = document.querySelector("#live[data-live]");
  const notice = document.getElementById("notice");
  const toggle = document.getElementById("updates");
  let paused = false;
  let wait = EVERY;
  let timer;

  // ---- a page that is read again

  const keyOf = (node) =>
    node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || "" : "";

  const alike = (one, other) =>
    one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

  // What a person has set is theirs: a ticked box, an opened part.
  const THEIRS = { INPUT: ["checked", "value"], DETAILS: ["open"] };

  function copyAttributes(from, to) {
    const theirs = THEIRS[to.nodeName] || [];
    for (const { name, value } of from.attributes) {
      if (!theirs.includes(name) && to.getAttribute(name) !== value) to.setAttribute(name, value);
    }
    for (const { name } of [...to.attributes]) {
      if (!theirs.includes(name) && !from.hasAttribute(name)) to.removeAttribute(name);
    }
  }

  // Makes `to` look like `from`, with as many of its own nodes as possible.
  function morph(from, to) {
    if (to.nodeType !== Node.ELEMENT_NODE) {
      if (to.nodeValue !== from.nodeValue) to.nodeValue = from.nodeValue;
      return;
    }
    if (to.isEqualNode(from)) return;
    copyAttributes(from, to);
    const stays = new Set([...from.childNodes].map(keyOf));
    const keyed = new Map();
    for (const child of [...to.childNodes]) {
      const key = keyOf(child);
      // What has gone goes first: then what stays keeps its place, and with it the focus.
      if (key && !stays.has(key)) child.remove();
      else if (key) keyed.set(key, child);
    }
    let place = to.firstChild;
    for (const wanted of [...from.childNodes]) {
      const key = keyOf(wanted);
      let have = key ? keyed.get(key) : place;
      if (!have || !alike(have, wanted)) have = null;
      if (!have) {
        to.insertBefore(document.importNode(wanted, true), place);
        continue;
      }
      if (have === place) place = place.nextSibling;
      else to.insertBefore(have, place);
      morph(wanted, have);
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  }

  function say(text) {
    const current = notice.textContent;
    if (current === text) return;
    notice.replaceChildren();
    if (text) {
      const line = document.createElement("p");
      line.className = "lost";
      line.textContent = text;
      notice.append(line);
    }
  }

  async function refresh() {
    const response = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
    if (response.status === 401 || response.status === 403) {
      location.reload();
      return;
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById("live");
    if (!fresh) throw new Error(page.querySelector("main p")?.textContent || "no page");
    if (notice.querySelector(".lost")) say("");
    if (document.hidden || paused || boxes().some((box) => box.checked)) return;
    const focused = document.activeElement;
    morph(fresh, live);
    if (focused !== document.activeElement && focused.isConnected) {
      focused.focus({ preventScroll: true });
    }
    count();
    document.dispatchEvent(new Event("refreshed"));
  }

  async function turn() {
    clearTimeout(timer);
    if (paused) return;
    // A list of which somebody chooses stays as it is.
    if (!document.hidden && !boxes().some((box) => box.checked)) {
      try {
        await refresh();
        wait = EVERY;
      } catch {
        wait = Math.min(2 * wait, LONGEST);
        say("The server does not answer. What you see is old; it is asked again.");
      }
    }
    timer = setTimeout(turn, wait);
  }

  if (live) {
    timer = setTimeout(turn, EVERY);
    document.addEventListener("visibilitychange", () => document.hidden || turn());
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
      paused = !paused;
      toggle.textContent = paused ? "Resume updates" : PAUSE;
      toggle.setAttribute("aria-pressed", String(paused));
      if (!paused) turn();
    });
  }

  // ---- a notice is for once: the page that is read again, or kept as a bookmark, has none

  const here = new URL(location.href);
  if (here.searchParams.has("notice")) {
    here.searchParams.delete("notice");
    history.replaceState(null, "", here);
  }

  // ---- boxes of a list

  const boxes = () => [...document.querySelectorAll('input[type="checkbox"][form="some"]')];

  function count() {
    const all = document.getElementById("all");
    if (!all) return;
    document.getElementById("choose").hidden = false;
    const ticked = boxes().filter((box) => box.checked).length;
    all.checked = ticked > 0 && ticked === boxes().length;
    all.indeterminate = ticked > 0 && !all.checked;
    for (const button of document.querySelectorAll('button[form="some"]')) button.disabled = !ticked;
    if (live && !paused) toggle.textContent = ticked ? "Updates wait for your choice" : PAUSE;
  }

  document.addEventListener("change", (event) => {
    if (event.target.id === "all") for (const box of boxes()) box.checked = event.target.checked;
    if (event.target.type === "checkbox") count();
  });

  // A form is sent once, and a list that is being acted on stays as it is.
  document.addEventListener("submit", () => {
    paused = true;
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  // ---- keys

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const search = document.getElementById("search");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  });

  count();
})();
