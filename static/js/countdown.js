/* Counts [data-countdown] seconds down and swaps in what is possible then. Speaks at 30, 10 and 0 only. */
(function () {
  "use strict";
  const start = (box) => {
    const part = (name) => box.querySelector("[data-countdown-" + name + "]");
    const asClock = box.hasAttribute("data-countdown-clock");
    const end = Date.now() + Number(box.dataset.countdown) * 1000;
    const form = part("form");
    const say = part("say");
    const show = (left) => {
      part("left").textContent = asClock ? Math.floor(left / 60) + ":" + String(left % 60).padStart(2, "0") : left;
    };
    const ready = (yes) => {
      part("waiting").hidden = yes;
      part("ready").hidden = !yes;
      if (form) form.hidden = !yes;
    };
    let last = Infinity;
    const tick = () => {
      const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
      show(left);
      [30, 10].forEach((mark) => {
        if (left <= mark && last > mark && last !== Infinity) say.textContent = box.dataset.say.replace("#", left);
      });
      last = left;
      if (left > 0) return;
      clearInterval(timer);
      ready(true);
      say.textContent = box.dataset.sayReady;
    };
    ready(false);
    const timer = setInterval(tick, 1000);
    tick();
  };
  document.querySelectorAll("[data-countdown]").forEach(start);
})();
