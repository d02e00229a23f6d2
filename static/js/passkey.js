/* Asks the browser for a passkey, or to make one, and sends what it signed. Without it the other ways are there. */
(function () {
  "use strict";
  if (!window.PublicKeyCredential || !navigator.credentials) return;
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const words = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (list) => (list || []).map((one) => Object.assign({}, one, { id: bytes(one.id) }));

  const make = async (options) => {
    options.challenge = bytes(options.challenge);
    options.user.id = bytes(options.user.id);
    options.excludeCredentials = named(options.excludeCredentials);
    const made = await navigator.credentials.create({ publicKey: options });
    const said = made.response;
    return [made, {
      clientDataJSON: words(said.clientDataJSON), attestationObject: words(said.attestationObject),
    }];
  };
  const use = async (options) => {
    options.challenge = bytes(options.challenge);
    options.allowCredentials = named(options.allowCredentials);
    const used = await navigator.credentials.get({ publicKey: options });
    const said = used.response;
    return [used, {
      clientDataJSON: words(said.clientDataJSON), authenticatorData: words(said.authenticatorData),
      signature: words(said.signature), userHandle: said.userHandle ? words(said.userHandle) : null,
    }];
  };
  const ask = async (form) => {
    const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
    const answer = await fetch(form.dataset.options, { method: "POST", headers: { "X-CSRFToken": token } });
    // The ten minutes are over, or the sign-in is: the page itself says what to do.
    if (answer.redirected) return location.reload();
    const [credential, response] = await (form.dataset.passkey === "make" ? make : use)(await answer.json());
    form.elements.response.value = JSON.stringify({
      id: credential.id, rawId: words(credential.rawId), type: credential.type, response,
    });
    form.submit();
  };

  document.querySelectorAll("form[data-passkey]").forEach((form) => {
    const trouble = form.querySelector("[data-passkey-trouble]");
    let asking = false;
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      // Without a name nothing is made: the server says what is missing.
      if (form.elements.name && !form.elements.name.value.trim()) return;
      event.preventDefault();
      if (asking) return;
      asking = true;
      trouble.hidden = true;
      ask(form).catch((error) => {
        trouble.textContent = error.name === "InvalidStateError" ? trouble.dataset.known : trouble.dataset.failed;
        trouble.hidden = false;
      }).finally(() => { asking = false; });
    });
  });
})();
