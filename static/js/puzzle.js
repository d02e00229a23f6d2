/* Has a worker solve the puzzle of [data-puzzle] and sends the form with the answer. Without one, one waits. */
(function () {
  "use strict";
  document.querySelectorAll("[data-puzzle]").forEach((form) => {
    // Browsers count only for pages that came over an encrypted line, or from this machine.
    if (!window.Worker || !window.isSecureContext) return;
    const show = (working) => {
      form.querySelector("[data-puzzle-say]").hidden = !working;
      form.querySelector("[data-puzzle-wait]").hidden = working;
    };
    const worker = new Worker(form.dataset.worker);
    worker.addEventListener("error", () => show(false));
    worker.addEventListener("message", (event) => {
      form.elements.answer.value = event.data;
      form.submit();
    });
    show(true);
    worker.postMessage({ text: form.dataset.puzzle, bits: Number(form.dataset.bits) });
  });
})();
