/* Says whether the second password is the same as the first, once it is long enough to tell. */
(function () {
  "use strict";
  document.querySelectorAll("[data-match]").forEach((again) => {
    const first = document.getElementById(again.dataset.match);
    const words = document.getElementById(again.id + "-match");
    const check = () => {
      const same = again.value === first.value;
      const tell = again.value && (same || again.value.length >= first.value.length);
      const text = tell ? (same ? words.dataset.same : words.dataset.different) : "";
      if (words.textContent !== text) words.textContent = text;
    };
    first.addEventListener("input", check);
    again.addEventListener("input", check);
  });
})();
