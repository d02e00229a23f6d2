"""A server of the terminal protocol for tests of the client: real HTTP, no database."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from terminals import jose
from terminals.claims import (
    parse_auth,
    parse_confirm,
    parse_enroll,
    parse_inventory,
    parse_keyroll,
    parse_possession,
    parse_receipt,
    parse_recovery_start,
)
from terminals.headers import poll_header
from terminals.protocol import (
    TYP_AUTH,
    TYP_COMMAND,
    TYP_ENROLL,
    TYP_KEYROLL,
    TYP_KEYSET,
    TYP_POSSESSION,
    TYP_RECEIPT,
    new_id,
    strict_json,
)
from tests.vectors import world


class StandIn:
    """What the server knows. Tests read and change it freely."""

    def __init__(self) -> None:
        self.origin = ""
        self.tid = new_id("trm")
        self.code = "BCD-FGH-JKL"
        self.sign_key: dict[str, str] = {}
        self.open_key: dict[str, Any] = {}
        self.unconfirmed: tuple[dict[str, str], dict[str, Any]] | None = None
        self.rolling: tuple[dict[str, str], dict[str, Any]] | None = None
        self.recoveries: dict[str, str] = {}
        self.active = False
        self.nonce = jose.b64u(bytes(range(16)))
        self.tokens: list[str] = []
        self.receipts: dict[str, dict[str, Any]] = {}
        self.receipt_bytes: dict[str, set[str]] = {}
        self.inventory: dict[str, Any] = {}
        self.keysets: dict[int, str] = {}
        self.clock_offset = 0
        self.refuse: list[int] = []
        self.problem: dict[str, tuple[int, dict[str, Any]]] = {}
        self.lose: list[str] = []
        self.connections = 0
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.seq = 0

    def now(self) -> int:
        return int(time.time()) + self.clock_offset

    def issue(
        self, cmd: str = "set_credential", *, key: dict[str, str] = world.ISSUER, **changes: Any
    ) -> str:
        """Sign a command for the enrolled terminal and put it into its queue."""
        self.seq += 1
        now, cid = self.now(), new_id("cmd")
        claims = {
            "iss": self.origin, "aud": self.tid, "jkt": jose.kid16(self.sign_key), "iat": now,
            "exp": now + 3600, "jti": new_id("tok"), "cid": cid, "seq": self.seq, "cmd": cmd, "by": "usr_1",
        }  # fmt: skip
        password = changes.pop("password", None)
        claims |= {name: value for name, value in changes.items() if value is not None}
        if password is not None:
            plaintext = {"cid": cid, "aud": self.tid, "op": claims["op"], "password": password}
            claims["sealed"] = jose.seal({**plaintext, "change_at_next_login": False}, self.open_key, cid)
        self.tokens.append(jose.sign(claims, TYP_COMMAND, key))
        return cid

    def publish(self, ver: int, *, root: dict[str, str] = world.ROOT, **changes: Any) -> None:
        """Publish a keyset."""
        claims = world.keyset(ver, iss=self.origin, iat=self.now() - 5, **changes)
        for entry in claims["keys"]:
            entry["nbf"], entry["exp"] = self.now() - 60, self.now() + 86_400
        self.keysets[ver] = jose.sign(claims, TYP_KEYSET, root)

    def outcome(self, cid: str) -> list[str]:
        """What the terminal said of a command, in the order of arrival."""
        said = [claims for claims in self.receipts.values() if claims.get("cid") == cid]
        return [" ".join(filter(None, (claims["st"], claims.get("rc")))) for claims in said]

    # --- the doors ----------------------------------------------------------------------------------------

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], Any]:
        """Route one request; returns status, headers and body."""
        self.requests.append((method, path, headers))
        if self.refuse:
            return self.refuse.pop(0), {"Retry-After": "1"}, {"code": "unavailable"}
        door = path.partition("/")[0] if not path.startswith(("enroll/", "keys/")) else path
        if door in self.problem:
            status, content = self.problem[door]
            return status, {}, content
        if path == "enroll":
            return self._enroll(body)
        if door == "keysets":
            token = self.keysets.get(int(path.rpartition("/")[2]))
            return (200, {}, token) if token else (404, {}, {"code": "not_found"})
        problem = self._refused(headers.get("authorization", ""))
        return problem or self._served(door, method, path, headers, body)

    def _served(
        self, door: str, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], Any]:
        if door == "enroll/confirm":
            assert parse_confirm(strict_json(body)) == self.nonce
            if self.unconfirmed:
                self.sign_key, self.open_key = self.unconfirmed
            self.active, self.unconfirmed = True, None
            return 200, {}, {"state": "active"}
        if door == "keys/roll":
            return self._roll(body)
        if door == "recoveries":
            return self._recoveries(method, path, body)
        if door == "receipts":
            return 200, {}, {"results": [self._take(item) for item in strict_json(body)["receipts"]]}
        if door == "inventory":
            self.inventory = strict_json(body)
            parse_inventory(self.inventory)
            return 204, {}, None
        return self._commands(headers)

    def _enroll(self, body: bytes) -> tuple[int, dict[str, str], Any]:
        raw, key = jose.verify_embedded(body, TYP_ENROLL)
        claims = parse_enroll(raw)
        if not claims.iat - 120 <= self.now() <= claims.exp + 120:
            return 401, {}, {"code": "clock_skew", "server_time": self.now()}
        if claims.code != self.code:
            return 401, {}, {"code": "pairing_failed"}
        open_key = jose.validate_public_key(claims.enc, jose.SEAL)
        self.unconfirmed = key, open_key
        self.publish(1)
        secret = {"nonce": self.nonce, "offline_key": jose.b64u(bytes(32))}
        challenge = jose.seal(secret, open_key, self.tid)
        return 201, {}, {"tid": self.tid, "keyset": self.keysets[1], "challenge": challenge}

    def _roll(self, body: bytes) -> tuple[int, dict[str, str], Any]:
        claims = parse_keyroll(self._verified(body.decode(), TYP_KEYROLL, 4096))
        raw, key = jose.verify_embedded(claims.proof, TYP_POSSESSION)
        proof = parse_possession(raw)
        assert (claims.iss, claims.aud, proof.aud) == (self.tid, *[self.origin + "/terminal/v1"] * 2)
        if proof.old != jose.kid16(self.sign_key):
            return 400, {}, {"code": "malformed"}
        self.rolling = key, jose.validate_public_key(proof.enc, jose.SEAL)
        return 200, {}, {"state": "rolling", "until": self.now() + 86_400}

    def _recoveries(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        if method == "GET":
            state = self.recoveries.get(path.partition("/")[2])
            return (200, {}, {"state": state}) if state else (404, {}, {"code": "not_found"})
        parse_recovery_start(strict_json(body))
        rid, address = new_id("rec"), f"{self.origin}/t"
        self.recoveries[rid] = "pending"
        shown = {"user_code": "BCDF-GHJK", "match": "47", "interval": 3, "expires_in": 600}
        addresses = {"verification_uri": address, "verification_uri_complete": f"{address}/BCDFGHJK"}
        return 201, {}, {"rid": rid, **shown, **addresses}

    def _verified(self, token: str, typ: str, size: int) -> dict[str, Any]:
        keys = {jose.kid16(self.sign_key): self.sign_key}
        return jose.verify(token, typ, keys, size, jose.TERMINAL_ALGS)

    def _take_over(self, kid: str) -> None:
        """The first request under a new key ends the old one, and what waits is signed again for the new."""
        if self.rolling is None or jose.kid16(self.rolling[0]) != kid:
            return
        (self.sign_key, self.open_key), self.rolling, self.seq = self.rolling, None, 0
        waiting, self.tokens = self.tokens, []
        for token in waiting:
            claims = jose.verify(token, TYP_COMMAND, {jose.kid16(world.ISSUER): world.ISSUER})
            self.seq += 1
            claims |= {"jkt": kid, "seq": self.seq, "jti": new_id("tok")}
            self.tokens.append(jose.sign(claims, TYP_COMMAND, world.ISSUER))

    def _refused(self, authorization: str) -> tuple[int, dict[str, str], Any] | None:
        known = [self.sign_key, *(pair[0] for pair in (self.unconfirmed, self.rolling) if pair)]
        keys = {jose.kid16(key): key for key in known if key}
        token = authorization.removeprefix("Bearer ")
        try:
            claims = parse_auth(jose.verify(token, TYP_AUTH, keys, 1024, jose.TERMINAL_ALGS))
        except jose.JoseError:
            return 401, {}, {"code": "invalid_auth"}
        if not claims.iat - 120 <= self.now() < claims.exp + 30:
            return 401, {}, {"code": "clock_skew", "server_time": self.now()}
        assert claims.aud == self.origin + "/terminal/v1"
        self._take_over(jose.read(token, TYP_AUTH, max_size=1024, algs=jose.TERMINAL_ALGS).kid)
        return None

    def _take(self, token: str) -> dict[str, Any]:
        try:
            claims = self._verified(token, TYP_RECEIPT, 2048)
        except jose.JoseError:
            return {"jti": "", "r": "invalid"}
        parse_receipt(claims)
        result = "duplicate" if claims["jti"] in self.receipts else "ok"
        self.receipts.setdefault(claims["jti"], claims)
        self.receipt_bytes.setdefault(claims["jti"], set()).add(token)
        if claims["st"] in ("applied", "rejected"):
            self.tokens = [token for token in self.tokens if jose.digest(token) != claims["tok"]]
        return {"jti": claims["jti"], "r": result}

    def _commands(self, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        pace = {"Rekey-Poll": poll_header(3, 0, 0)}
        if not self.tokens:
            return 204, pace, None
        etag = f'"{jose.digest("".join(self.tokens))}"'
        if headers.get("if-none-match") == etag:
            return 304, pace, None
        return 200, {**pace, "ETag": etag}, {"tokens": self.tokens[:4], "more": len(self.tokens) > 4}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    stand_in: StandIn

    def setup(self) -> None:
        self.stand_in.connections += 1
        super().setup()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.removeprefix("/terminal/v1/").partition("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, extra, content = self.stand_in.answer(self.command, path, headers, body)
        if path in self.stand_in.lose:
            self.stand_in.lose.remove(path)
            self.close_connection = True
            return
        is_text = isinstance(content, str)
        raw = content.encode() if is_text else b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/jose" if is_text else "application/json")
        for name, value in extra.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = _serve

    def log_message(self, *_args: object) -> None:
        """Be quiet."""


@contextmanager
def serving() -> Iterator[StandIn]:
    """A stand-in on a free loopback port."""
    stand_in = StandIn()
    handler = type("Handler", (_Handler,), {"stand_in": stand_in})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    stand_in.origin = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
