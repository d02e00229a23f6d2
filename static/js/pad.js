/* The digit pad: feeds the input that had the focus last. The input stays the truth. */
(function () {
  "use strict";
  const pad = document.getElementById("pad");
  const inputs = Array.from(document.querySelectorAll("[data-pad=pad]"));
  if (!pad || !inputs.length) return;
  let current = inputs[0];
  inputs.forEach((input) => {
    // The pad replaces the phone's own keyboard; a real keyboard goes on working.
    input.setAttribute("inputmode", "none");
    input.addEventListener("focus", () => { current = input; });
  });
  const put = (text, from, to) => {
    current.setRangeText(text, from, to, "end");
    current.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const press = (button) => {
    const from = current.selectionStart;
    const to = current.selectionEnd;
    if ("padClear" in button.dataset) put("", 0, current.value.length);
    else if ("padBack" in button.dataset) put("", from === to ? Math.max(0, from - 1) : from, to);
    else if (current.value.length - (to - from) < current.maxLength) put(button.dataset.digit, from, to);
  };
  // A finger on the pad leaves the focus in the input; the keyboard and a screen reader may walk the keys.
  pad.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) { event.preventDefault(); current.focus(); }
  });
  pad.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) press(button);
  });
  pad.hidden = false;
})();
