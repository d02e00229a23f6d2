/* Takes the number that a mail's link carries behind its hash, which no server sees, and puts it in the field. */
(function () {
  "use strict";
  const field = document.querySelector("[data-from-link] input[name=number]");
  if (!field) return;

  function take() {
    const number = window.location.hash.slice(1);
    if (!/^[A-Za-z0-9]{4}-?[A-Za-z0-9]{4}$/.test(number)) return;
    field.value = number.toUpperCase();
    window.history.replaceState(null, "", window.location.pathname);
  }

  take();
  // A second link opened in the same tab only changes what is behind the hash.
  window.addEventListener("hashchange", take);
})();
