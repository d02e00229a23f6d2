/* Takes the code out of the text message where the browser can (WebOTP). The person still confirms it. */
(function () {
  "use strict";
  const input = document.querySelector("[data-web-otp]");
  if (!input || !("OTPCredential" in window)) return;
  const stop = new AbortController();
  input.form.addEventListener("submit", () => stop.abort());
  navigator.credentials.get({ otp: { transport: ["sms"] }, signal: stop.signal }).then((otp) => {
    if (!otp || input.value) return;
    input.value = otp.code;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.form.querySelector("[type=submit]").focus();
  }, () => { /* refused or overtaken: the code can be typed */ });
})();
