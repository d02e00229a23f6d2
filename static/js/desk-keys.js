/* Keys of the desk: one letter goes to what carries it in data-key. Off while somebody types, and for good when
   the box beside the list of keys says so (WCAG 2.1.4). Nothing is sent by a key alone, but "take". */
(function () {
  "use strict";
  const KEPT = "desk-keys";
  const hint = document.querySelector("[data-desk-keys]");
  const onoff = hint && hint.querySelector("input");
  if (!onoff) return;
  const rows = () => Array.from(document.querySelectorAll("#result_list tbody tr"));
  const link = (row) => row.querySelector("th a");
  const read = () => { try { return localStorage.getItem(KEPT) !== "off"; } catch (error) { return true; } };
  const keep = (on) => { try { localStorage.setItem(KEPT, on ? "on" : "off"); } catch (error) { /* kept nowhere */ } };
  hint.hidden = false;
  onoff.checked = read();
  onoff.addEventListener("change", () => keep(onoff.checked));

  const here = () => rows().findIndex((row) => row.contains(document.activeElement));
  const move = (by) => {
    const all = rows();
    const next = all[Math.min(all.length - 1, Math.max(0, here() + by))];
    if (next && link(next)) link(next).focus();
  };
  const take = () => {
    const row = rows()[here()];
    const action = document.querySelector('#changelist-form select[name="action"]');
    if (!row || !action) return;
    document.querySelectorAll("#changelist-form .action-select").forEach((box) => { box.checked = row.contains(box); });
    action.value = "take";
    action.form.submit();
  };
  const LIST = { j: () => move(1), k: () => move(-1), a: take, "/": () => {
    const search = document.getElementById("searchbar");
    if (search) search.focus();
  } };
  const typing = (target) => target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName)
    || (target.tagName === "INPUT" && !/^(checkbox|radio|submit|button)$/.test(target.type));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !onoff.checked || typing(event.target)) return;
    const key = event.key.toLowerCase();
    const aim = /^[a-z]$/.test(key) && document.querySelector('[data-key="' + key + '"]');
    if (aim) {
      event.preventDefault();
      if (aim.tagName === "A") aim.click(); else aim.focus();
    } else if (document.getElementById("result_list") && LIST[key]) {
      event.preventDefault();
      LIST[key]();
    }
  });
})();
