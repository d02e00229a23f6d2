/* A phone's photo is made smaller before it travels, where the browser can; the server draws it anew anyhow. */
(function () {
  "use strict";
  const SIDE = 1600;
  const input = document.querySelector("[data-photo]");
  if (!input || !window.createImageBitmap || !window.DataTransfer) return;
  const smaller = (file) => createImageBitmap(file).then((picture) => {
    const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
  });
  input.addEventListener("change", () => {
    const file = input.files[0];
    if (!file || file.size < 500000) return;
    smaller(file).then((blob) => {
      if (!blob || blob.size >= file.size || input.files[0] !== file) return;
      const carried = new DataTransfer();
      carried.items.add(new File([blob], "photo.jpg", { type: "image/jpeg" }));
      input.files = carried.files;
    }).catch(() => { /* it travels as it is */ });
  });
})();
