/* Keeps an impatient finger from sending a form twice. For the eye only: the server is the guard. */
(function () {
  "use strict";
  const buttons = (form) => form.querySelectorAll("[type=submit]");
  const mark = (form, sent) => {
    form.toggleAttribute("data-sent", sent);
    buttons(form).forEach((button) => {
      if (sent) button.setAttribute("aria-disabled", "true");
      else button.removeAttribute("aria-disabled");
    });
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.hasAttribute("data-submit-once")) return;
    if (form.hasAttribute("data-sent")) event.preventDefault();
    else mark(form, true);
  });
  // The page comes back from the history as it was left.
  window.addEventListener("pageshow", () => document.querySelectorAll("[data-sent]").forEach((form) => mark(form, false)));
})();
