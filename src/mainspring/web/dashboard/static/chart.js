// The values of a chart at the moment that the pointer is on, or that the arrow keys move to, in
// place of the newest ones. A live page brings new values; the moment stays.
"use strict";

(() => {
  const STEP = 1 / 60;
  const NOTHING = "–";
  let figure = null;
  let place = 1;

  const clock = (age, seconds) => {
    const when = new Date(Date.now() - 1000 * age);
    const day = { weekday: "short", day: "numeric", month: "short" };
    const time = when.toLocaleTimeString();
    return seconds < 86400 ? time : `${when.toLocaleDateString(undefined, day)} ${time}`;
  };

  // `points`: "age text|age text|...", the oldest first.
  function valueAt(points, age, gap) {
    let best = [2 * gap, NOTHING];
    for (const point of points ? points.split("|") : []) {
      const space = point.indexOf(" ");
      const distance = Math.abs(Number(point.slice(0, space)) - age);
      if (distance <= best[0]) best = [distance, point.slice(space + 1)];
    }
    return best[1];
  }

  function write(age, x, moment) {
    const gap = Number(figure.dataset.gap);
    for (const value of figure.querySelectorAll(".legend b")) {
      value.textContent = valueAt(value.dataset.points, age, gap);
    }
    const cursor = figure.querySelector(".cursor");
    const width = cursor.ownerSVGElement.viewBox.baseVal.width;
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, String(width * x));
    figure.querySelector(".now").textContent = moment;
  }

  function show() {
    if (!figure?.isConnected) return;
    const seconds = Number(figure.dataset.seconds);
    const age = seconds * (1 - place);
    write(age, place, clock(age, seconds));
  }

  function leave() {
    if (figure) write(0, -1, "now");
    figure = null;
  }

  function point(one, at) {
    if (one !== figure) leave();
    figure = one;
    place = Math.min(1, Math.max(0, at));
    show();
  }

  document.addEventListener("pointermove", (event) => {
    const plot = event.target.closest(".plot");
    if (!plot) {
      if (event.pointerType === "mouse") leave();
      return;
    }
    const box = plot.getBoundingClientRect();
    point(plot.parentElement, (event.clientX - box.left) / box.width);
  });
  document.documentElement.addEventListener("pointerleave", leave);
  document.addEventListener("focusout", leave);
  document.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
    const one = event.target.closest(".chart");
    if (!one || !step) return;
    event.preventDefault();
    point(one, (one === figure ? place : 1) + step);
  });
  document.addEventListener("refreshed", show);
})();
