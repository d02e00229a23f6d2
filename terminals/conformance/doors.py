"""The doors of the kit's server: each method answers one kind of request, by the rules of the protocol."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Final

from terminals import jose, pairing
from terminals.claims import (
    AuthClaims,
    EnrollClaims,
    parse_auth,
    parse_confirm,
    parse_enroll,
    parse_inventory,
    parse_keyroll,
    parse_possession,
    parse_receipt,
    parse_receipt_batch,
    parse_recovery_start,
)
from terminals.conformance.memory import Memory, Reply, Request
from terminals.headers import poll_header
from terminals.protocol import (
    BEARER_GRACE,
    BEARER_LIFETIME_MAX,
    BEARER_MAX,
    BODY_MAX,
    ENROLL_MAX,
    RECEIPT_MAX,
    RECOVERY_INTERVAL,
    RECOVERY_LIFETIME,
    SKEW,
    TOKENS_PER_POLL,
    TYP_AUTH,
    TYP_ENROLL,
    TYP_KEYROLL,
    TYP_POSSESSION,
    TYP_RECEIPT,
    ProtocolError,
    new_id,
    strict_json,
)

WRONG_MOST: Final = 5
RECOVERIES_MOST: Final = 3
DAY: Final = 86_400


class Pairing(Memory):
    """Enrollment, confirmation and key roll."""

    def enroll(self, request: Request) -> Reply:
        """`POST enroll`."""
        claims, key = self.read_enrollment(self.body(request, ENROLL_MAX))
        if not claims.iat - SKEW <= self.now() <= claims.exp + SKEW:
            raise ProtocolError("clock_skew", server_time=self.now())
        self.match(claims.code)
        if jose.kid16(key) in self.known_kids():
            raise ProtocolError("key_in_use")
        self.code_used, self.cmds = True, claims.cmds
        self.pending = (key, jose.validate_public_key(claims.enc, jose.SEAL))
        if not self.keysets:
            self.publish(1)
        secret = {"nonce": self.nonce, "offline_key": jose.b64u(self.offline_key)}
        challenge = jose.seal(secret, self.pending[1], self.false_binding or self.tid)
        keyset = self.false_keyset or self.keysets[self.version]
        self.false_binding = self.false_keyset = ""
        return Reply(201, {"tid": self.tid, "keyset": keyset, "challenge": challenge})

    def known_kids(self) -> set[str]:
        """Keys that cannot be registered once more."""
        return {jose.kid16(key) for key in (self.sign_key, self.issuer, self.root) if key}

    def read_enrollment(self, body: bytes) -> tuple[EnrollClaims, dict[str, str]]:
        """The request, verified under its own key."""
        raw, key = jose.verify_embedded(body, TYP_ENROLL)
        claims = parse_enroll(raw)
        jose.validate_public_key(claims.enc, jose.SEAL)
        if claims.aud != self.audience:
            raise ProtocolError("malformed", "aud")
        return claims, key

    def match(self, typed: str) -> None:
        """Raises ProtocolError unless this is the living code; five wrong secrets burn it."""
        given, kept = pairing.normalise(typed), pairing.normalise(self.code)
        right = given is not None and given == kept
        if given and kept and given.selector == kept.selector and not right:
            self.failures += 1
        if not right or self.code_used or self.failures >= WRONG_MOST:
            raise ProtocolError("pairing_failed")

    def confirm(self, request: Request) -> Reply:
        """`POST enroll/confirm`; safe to repeat."""
        if parse_confirm(strict_json(self.body(request))) != self.nonce:
            raise ProtocolError("conflict")
        if self.pending is not None:
            (self.sign_key, self.open_key), self.pending = self.pending, None
            self.active, self.tokens, self.rolling = True, [], None
            self.start_over()
        return Reply(200, {"state": "active"})

    def roll(self, request: Request) -> Reply:
        """`POST keys/roll`: the old key vouches for the new one."""
        raw = jose.verify(
            self.body(request, ENROLL_MAX), TYP_KEYROLL, self.present(), algs=jose.TERMINAL_ALGS
        )
        claims = parse_keyroll(raw)
        said, key = jose.verify_embedded(claims.proof, TYP_POSSESSION)
        proof = parse_possession(said)
        if self.misaddressed(claims.iss, claims.aud) or self.misaddressed(claims.iss, proof.aud):
            raise ProtocolError("malformed", "iss or aud")
        self.follows(proof.old)
        new_open = jose.validate_public_key(proof.enc, jose.SEAL)
        if jose.kid16(key) in self.known_kids():
            raise ProtocolError("key_in_use")
        self.rolling = (key, new_open)
        return Reply(200, {"state": "rolling", "until": self.now() + DAY})

    def follows(self, old: str) -> None:
        """Raises ProtocolError unless the proof names the present key."""
        if old != jose.kid16(self.sign_key):
            raise ProtocolError("malformed", "old")

    def misaddressed(self, iss: str, aud: str) -> bool:
        """Whether this is of another terminal or for another server."""
        return iss != self.tid or aud != self.audience

    def present(self) -> dict[str, dict[str, str]]:
        """The key in force, by its `kid`."""
        return {jose.kid16(self.sign_key): self.sign_key} if self.sign_key else {}

    def body(self, request: Request, most: int = BODY_MAX) -> bytes:
        """The body, if it is not too large."""
        if len(request.body) > most:
            raise ProtocolError("too_large")
        return request.body


class Gate(Pairing):
    """Who is asking."""

    def authenticate(self, request: Request) -> bool:
        """Whether the caller has confirmed its keys. Raises ProtocolError."""
        try:
            kid = self.admitted(request.bearer)
        except ProtocolError as error:
            self.gate.append((request, error.code))
            raise
        self.gate.append((request, "ok"))
        if self.rolling and kid == jose.kid16(self.rolling[0]):
            (self.sign_key, self.open_key), self.rolling = self.rolling, None
            self.start_over()
        return not (self.pending and kid == jose.kid16(self.pending[0]))

    def admitted(self, token: str) -> str:
        """The name of the key that asks. Raises ProtocolError."""
        try:
            claims, kid = self.read_bearer(token)
        except (jose.JoseError, ProtocolError):
            raise ProtocolError("invalid_auth") from None
        self.in_time(claims)
        return kid

    def read_bearer(self, token: str) -> tuple[AuthClaims, str]:
        """The claims and the key's name. Raises JoseError or ProtocolError."""
        unread = jose.read(token, TYP_AUTH, max_size=BEARER_MAX, algs=jose.TERMINAL_ALGS)
        key = self.callers().get(unread.kid)
        if key is None:
            raise ProtocolError("invalid_auth")
        claims = parse_auth(unread.claims(key))
        if self.misaddressed(claims.iss, claims.aud):
            raise ProtocolError("invalid_auth")
        return claims, unread.kid

    def callers(self) -> dict[str, dict[str, str]]:
        """Keys that may ask: in force, being paired, or on the way in."""
        coming = [pair[0] for pair in (self.pending, self.rolling) if pair]
        return self.present() | {jose.kid16(key): key for key in coming}

    def in_time(self, claims: AuthClaims) -> None:
        """Raises ProtocolError `clock_skew` for a bearer that is not in force now."""
        timely = claims.iat <= self.now() + SKEW and claims.exp > self.now() - BEARER_GRACE
        if not timely or not 0 < claims.exp - claims.iat <= BEARER_LIFETIME_MAX:
            raise ProtocolError("clock_skew", server_time=self.now())


class Queue(Gate):
    """Polls and receipts."""

    def commands(self, request: Request) -> Reply:
        """`GET commands`: at once, or as soon as it differs from what the terminal holds."""
        wait = self.number(request.query.get("wait", "0"), self.hold_most)
        most = max(1, self.number(request.query.get("max", "4"), TOKENS_PER_POLL))
        held = request.headers.get("if-none-match", "")
        with self.changed:
            self.changed.wait_for(lambda: self.etag(most) != held, timeout=wait or None if wait else 0)
            return self.offered(most, held)

    def offered(self, most: int, held: str) -> Reply:
        """What the queue gives to a terminal that holds this."""
        headers = {"Rekey-Poll": poll_header(**self.pace, fast_until=self.fast_until)}
        etag = self.etag(most)
        if not self.tokens:
            return Reply(204, None, headers)
        headers["ETag"] = etag
        if etag == held:
            return Reply(304, None, headers)
        more = self.more_follows or len(self.tokens) > most
        return Reply(200, {"tokens": self.tokens[:most], "more": more}, headers)

    def etag(self, most: int) -> str:
        """Names what would be given; empty when nothing waits."""
        given = ",".join([*self.tokens[:most], str(len(self.tokens) > most)])
        return f'"{hashlib.sha256(given.encode()).hexdigest()[:22]}"' if self.tokens else ""

    def number(self, text: str, most: int) -> int:
        """A number of the query, at most `most`."""
        if not (text.isascii() and text.isdigit() and len(text) <= 4):
            raise ProtocolError("malformed", "query")
        return min(int(text), most)

    def take_receipts(self, request: Request) -> Reply:
        """`POST receipts`: one result each."""
        batch = parse_receipt_batch(strict_json(self.body(request)))
        results = [self.take(item) for item in batch]
        if self.lost_answers:
            self.lost_answers -= 1
            raise ProtocolError("internal")
        if self.short_answers:
            self.short_answers -= 1
            results.pop()
        return Reply(200, {"results": results})

    def take(self, item: str) -> dict[str, str]:
        """Judge one receipt."""
        try:
            claims = jose.verify(item, TYP_RECEIPT, self.present(), RECEIPT_MAX, jose.TERMINAL_ALGS)
            receipt = parse_receipt(claims)
        except (jose.JoseError, ProtocolError):
            self.posted.append((item, "invalid"))
            return {"jti": "", "r": "invalid"}
        result = "invalid" if self.misaddressed(receipt.iss, receipt.aud) else self.result(item, claims)
        if self.verdicts:
            result = self.verdicts.popleft()
        self.posted.append((item, result))
        return {"jti": receipt.jti, "r": result}

    def result(self, item: str, claims: dict[str, Any]) -> str:
        """What a genuine receipt is to us."""
        jti, tok = claims["jti"], claims["tok"]
        if jti in self.receipts:
            known = item in self.receipt_bytes[jti]
            self.receipt_bytes[jti].add(item)
            return "duplicate" if known else "conflict"
        if claims.get("sub") != "offline" and not self.of_ours(claims):
            return "unknown"
        self.receipts[jti] = claims
        self.receipt_bytes[jti] = {item}
        before, final = self.outcomes.get(tok, ""), claims["st"] in ("applied", "rejected")
        if final:
            self.outcomes[tok] = before or claims["st"]
            with self.changed:
                self.tokens = (
                    self.tokens
                    if self.sticky
                    else [token for token in self.tokens if jose.digest(token) != tok]
                )
        return "conflict" if final and before not in ("", claims["st"]) else "ok"

    def of_ours(self, claims: dict[str, Any]) -> bool:
        """Whether it is about a token that was issued, and says of it what is so."""
        command = self.issued.get(claims["tok"])
        names = {"sub": "jti", "cid": "cid", "seq": "seq"}
        return command is not None and all(
            claims[name] == command.get(inside, claims[name])
            for name, inside in names.items()
            if name in claims
        )


class Doors(Queue):
    """The rest: inventory, keysets, recoveries."""

    def put_inventory(self, request: Request) -> Reply:
        """`PUT inventory`."""
        inventory = strict_json(self.body(request))
        parse_inventory(inventory)
        self.inventory = inventory
        return Reply(204)

    def get_keyset(self, version: str) -> Reply:
        """`GET keysets/{ver}`, for everybody, for ever the same."""
        token = self.keysets.get(int(version)) if version.isascii() and version.isdigit() else None
        if token is None:
            raise ProtocolError("not_found")
        return Reply(200, token, {"Cache-Control": "public, max-age=31536000, immutable"})

    def start_recovery(self, request: Request) -> Reply:
        """`POST recoveries`."""
        op = parse_recovery_start(strict_json(self.body(request)))
        if len(self.recoveries) >= RECOVERIES_MOST:
            raise ProtocolError("slow_down", retry_after=3600)
        rid, code = new_id("rec"), "".join(secrets.choice(pairing.ALPHABET) for _ in range(8))
        self.recoveries[rid] = {"op": op, "state": "pending"}
        return Reply(
            201,
            {
                "rid": rid, "user_code": f"{code[:4]}-{code[4:]}", "verification_uri": f"{self.origin}/t",
                "verification_uri_complete": f"{self.origin}/t/{code}", "expires_in": RECOVERY_LIFETIME,
                "interval": RECOVERY_INTERVAL, "match": f"{secrets.randbelow(90) + 10}",
            },
        )  # fmt: skip

    def get_recovery(self, rid: str) -> Reply:
        """`GET recoveries/{rid}`."""
        known = self.recoveries.get(rid)
        if known is None:
            raise ProtocolError("not_found")
        return Reply(200, {"rid": rid, "state": known["state"]})
