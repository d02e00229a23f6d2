/* Puts the focus on what the page has to say first: an error summary or a notice. */
(function () {
  "use strict";
  const first = document.querySelector("[data-focus]");
  if (first) first.focus();
})();
