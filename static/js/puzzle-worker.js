/* Looks for the number that, behind a text and a colon, makes a SHA-256 (FIPS 180-4) begin with zero bits. */
(function () {
  "use strict";
  // Many at a time: what waits for each answer costs more than the sum itself.
  const AT_ONCE = 256;
  const encoder = new TextEncoder();

  const zeroBits = (digest) => {
    const words = new DataView(digest);
    let bits = 0;
    for (let at = 0; at < 32; at += 4) {
      const zeros = Math.clz32(words.getUint32(at));
      bits += zeros;
      if (zeros < 32) break;
    }
    return bits;
  };

  const solve = async (text, bits) => {
    for (let first = 0; ; first += AT_ONCE) {
      const digests = await Promise.all(
        Array.from({ length: AT_ONCE }, (_, step) =>
          self.crypto.subtle.digest("SHA-256", encoder.encode(text + ":" + (first + step)))),
      );
      const found = digests.findIndex((digest) => zeroBits(digest) >= bits);
      if (found >= 0) return String(first + found);
    }
  };

  self.addEventListener("message", (event) => {
    solve(event.data.text, event.data.bits).then((answer) => self.postMessage(answer));
  });
})();
