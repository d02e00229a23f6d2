/* Keeps a page with moving parts true: asks every 2 s, more rarely while offline, and stops when all is said. */
(function () {
  "use strict";
  const live = document.querySelector("[data-live]");
  if (!live) return;
  const say = document.querySelector("[data-live-say]");
  const EVERY = 2000, SLOWEST = 30000;
  let pause = EVERY, timer = 0, done = false, phase = live.querySelector("[data-phase]").dataset.phase;

  const words = (seconds, data) => (seconds < 60
    ? data.tickS.replace("#", seconds)
    : data.tickM.replace("#", Math.floor(seconds / 60)).replace("#", seconds % 60));
  const tick = () => {
    const spot = live.querySelector("[data-tick]");
    if (!spot || !/^[0-9]+$/.test(spot.dataset.tick)) return;
    const seconds = Number(spot.dataset.tick) + 1;
    spot.dataset.tick = seconds;
    if (seconds < 3600) spot.textContent = words(seconds, spot.dataset);
  };

  // Exchanges one part only when something else than a form's token or the seconds has changed in it.
  const plain = (node) => {
    const copy = node.cloneNode(true);
    copy.querySelectorAll("[name=csrfmiddlewaretoken]").forEach((token) => token.remove());
    copy.querySelectorAll("[data-tick]").forEach((spot) => { spot.textContent = ""; spot.dataset.tick = ""; });
    copy.querySelectorAll("[data-live-lost]").forEach((lost) => lost.remove());
    copy.querySelectorAll(".lines li").forEach((line) => line.classList.toggle("old", false));
    return copy.outerHTML.replace(/ class=""/g, "");
  };
  // Lines that were printed before do not print again.
  const keepPrinted = (before, after) => {
    const lines = after.querySelectorAll(".lines li");
    const count = before.querySelectorAll(".lines li").length;
    for (let i = 0; i < Math.min(count, lines.length); i += 1) lines[i].classList.add("old");
  };
  const exchange = (fresh) => {
    live.querySelectorAll("[data-part]").forEach((part) => {
      const next = fresh.querySelector("[data-part=" + part.dataset.part + "]");
      const ticking = next.querySelector("[data-tick]"), shown = part.querySelector("[data-tick]");
      if (ticking && shown && Number(ticking.dataset.tick) > Number(shown.dataset.tick)) {
        shown.dataset.tick = ticking.dataset.tick;
        shown.textContent = ticking.textContent;
      }
      if (plain(part) === plain(next)) return;
      const held = part.contains(document.activeElement);
      keepPrinted(part, next);
      part.replaceWith(next);
      if (held) document.getElementById("main").focus();
    });
    const now = live.querySelector("[data-phase]").dataset.phase;
    if (now === phase) return;
    phase = now;
    const title = live.querySelector("[data-live-title]");
    if (title) document.title = title.textContent + " · Rekey";
    const news = live.querySelectorAll("[data-live-title], .lede, [data-live-news]");
    say.textContent = Array.from(news, (node) => node.textContent.trim().replace(/\s+/g, " ")).join(" ");
  };
  const lost = (yes) => { live.querySelector("[data-live-lost]").hidden = !yes; };

  const again = () => { clearTimeout(timer); timer = setTimeout(ask, document.hidden ? Math.max(pause, 10000) : pause); };
  const receive = (answer) => {
    if (answer.status >= 400 && answer.status < 500 || answer.redirected) { window.location.reload(); return null; }
    if (!answer.ok) throw new Error("not now");
    return answer.text().then((html) => {
      exchange(new DOMParser().parseFromString(html, "text/html"));
      pause = EVERY;
      lost(false);
      done = answer.headers.get("Rekey-Live") === "0";
      if (done) clearInterval(ticking);
      else again();
    });
  };
  const ask = () => {
    if (done) return;
    clearTimeout(timer);
    fetch(live.dataset.live, { credentials: "same-origin", cache: "no-store" }).then(receive).catch(() => {
      pause = Math.min(pause * 2, SLOWEST);
      if (pause > EVERY * 2) lost(true);
      again();
    });
  };
  const ticking = setInterval(tick, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  window.addEventListener("online", ask);
  again();
})();
