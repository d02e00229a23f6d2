/* An empty header cell heads nothing: the stock tables of rows within a form get plain cells there. */
(function () {
  "use strict";
  document.querySelectorAll("thead th").forEach((head) => {
    if (head.textContent.trim() || head.querySelector("input, img, a")) return;
    const cell = document.createElement("td");
    Array.from(head.attributes).forEach((attribute) => cell.setAttribute(attribute.name, attribute.value));
    cell.removeAttribute("scope");
    head.replaceWith(cell);
  });
})();
