/* Checks a password against the terminal's own rules while it is typed. The server checks again and knows more. */
(function () {
  "use strict";
  const YEARS = [1930, 2039];
  const isDigits = (text) => /^[0-9]+$/.test(text);
  const isYear = (text) => Number(text) >= YEARS[0] && Number(text) <= YEARS[1];
  const isDate = (year, month, day) => {
    const date = new Date(Date.UTC(year, Number(month) - 1, Number(day)));
    return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day) && Number(day) > 0;
  };
  const broken = {
    length: (text, data) => text.length < Number(data.min) || text.length > Number(data.max),
    charset: (text, data) => !(data.keypad === "full" ? /^[!-~]+$/ : /^[0-9]+$/).test(text),
    factory_default: (text, data) => (data.defaults || "").split(" ").includes(text),
    repeated: (text) => text.length > 1 && text === text.slice(0, 2).repeat(text.length).slice(0, text.length),
    run: (text) => {
      if (text.length < 3 || !isDigits(text)) return false;
      const steps = new Set();
      for (let i = 1; i < text.length; i += 1) steps.add((Number(text[i]) - Number(text[i - 1]) + 10) % 10);
      return steps.size === 1 && (steps.has(1) || steps.has(9));
    },
    date: (text) => {
      if (!isDigits(text)) return false;
      const a = text.slice(0, 2), b = text.slice(2, 4), c = text.slice(4);
      if (text.length === 4) return isDate(2000, a, b) || isDate(2000, b, a) || isYear(text);
      if (text.length === 6) return isDate(2000 + Number(a), b, c);
      return text.length === 8 && isYear(text.slice(0, 4)) && isDate(Number(text.slice(0, 4)), c.slice(0, 2), c.slice(2));
    },
  };
  const show = (list, item, state) => {
    const mark = item.querySelector(".mark");
    if (mark.dataset.state === state) return;
    mark.dataset.state = state;
    mark.className = "mark" + (state === "open" ? "" : " mark--" + state);
    item.querySelector("[data-rule-word]").textContent = list.dataset["word" + state[0].toUpperCase() + state.slice(1)];
  };
  // What is still too short may yet become anything: only a broken rule that cannot heal is marked early.
  const judge = (item, text) => {
    const bad = broken[item.dataset.rule](text, item.dataset);
    if (!text) return "open";
    if (item.dataset.rule === "length" && text.length < Number(item.dataset.min)) return "open";
    return bad ? "no" : "yes";
  };
  document.querySelectorAll("[data-rules]").forEach((list) => {
    const input = document.getElementById(list.dataset.rules);
    const items = Array.from(list.querySelectorAll("[data-rule-live]")).filter((item) => broken[item.dataset.rule]);
    const length = items.find((item) => item.dataset.rule === "length");
    const check = () => {
      const early = length && input.value.length < Number(length.dataset.min);
      items.forEach((item) => {
        const wait = early && item.dataset.rule !== "charset";
        show(list, item, wait ? "open" : judge(item, input.value));
      });
    };
    input.addEventListener("input", check);
    if (input.value) check();
  });
})();
