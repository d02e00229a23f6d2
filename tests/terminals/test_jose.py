"""Signing, verifying, sealing and opening."""

from __future__ import annotations

import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe, jws

from terminals import jose
from terminals.claims import parse_auth, parse_command, parse_receipt
from terminals.protocol import TYP_COMMAND, TYP_ENROLL, TYP_KEYSET, ProtocolError
from tests.vectors import world
from tests.vectors.forgeries import Forgery, forgeries
from tests.vectors.world import BEARER, COMMAND, ISSUER, OPENING, RECEIPT, ROOT, STRANGER, TERMINAL, Kind

P = 2**255 - 19
READERS = {COMMAND: parse_command, RECEIPT: parse_receipt, BEARER: parse_auth}
ALL = [(kind, forgery) for kind in READERS for forgery in forgeries(kind)]


def accepts(kind: Kind, token: str | bytes) -> dict[str, object]:
    """What a server or terminal does first with a token of this kind."""
    keys = {jose.kid16(kind.key): jose.public_jwk(kind.key)}
    algs = jose.ISSUER_ALGS if kind is COMMAND else jose.TERMINAL_ALGS
    claims = jose.verify(token, kind.typ, keys, kind.max_size, algs)
    READERS[kind](claims)
    return claims


def key_of(y: int, sign: int = 0) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": jose.b64u((y | sign << 255).to_bytes(32, "little"))}


def order_eight_ys() -> list[int]:
    """The y of the four points of order 8, computed from the curve equation."""
    found: set[int] = set()
    d = jose._D
    root = pow(1 + d, (P + 3) // 8, P)
    if (root * root - 1 - d) % P:
        root = root * pow(2, (P - 1) // 4, P) % P
    # A point doubles to y = 0 exactly when x² = -y², that is d·y⁴ + 2·y² - 1 = 0.
    for sign in (1, -1):
        square = (-1 + sign * root) * pow(d, -1, P) % P
        y = pow(square, (P + 3) // 8, P)
        if (y * y - square) % P:
            y = y * pow(2, (P - 1) // 4, P) % P
        if (y * y - square) % P == 0:
            found |= {y, P - y}
    return sorted(found)


class TestGoodTokens:
    @pytest.mark.parametrize("kind", READERS, ids=lambda kind: kind.name)
    def test_a_good_token_is_accepted(self, kind: Kind) -> None:
        assert accepts(kind, kind.good()) == kind.claims
        assert accepts(kind, kind.good().encode()) == kind.claims

    def test_keys_have_the_published_thumbprints(self) -> None:
        assert jose.thumbprint(ISSUER) == "vaJPtef-vPnGAIWE19qlMPDYWGaER3zeeJM_3r1WO7E"
        assert jose.thumbprint(TERMINAL) == "f3zNtNnYfgmEKsQyyHtmruOfJFzBi1lyb_D_2J9CDPo"
        assert jose.thumbprint(OPENING) == "Ob5udBakAHUQOW0Ul_aPN6ZjD0GB0j1TmotzTQ50P5c"
        assert jose.thumbprint(ROOT) == "5wJ55U2yX0K8BQZaEW4de93CznLV7b7oRzJTS09cmWg"

    def test_another_library_verifies_what_we_sign(self) -> None:
        registry = jws.JWSRegistry(algorithms=["Ed25519"])
        key = world.library_key(jose.public_jwk(ISSUER))
        assert jws.deserialize_compact(COMMAND.good(), key, registry=registry).headers() == COMMAND.header

    @pytest.mark.parametrize("kind", [RECEIPT, BEARER], ids=lambda kind: kind.name)
    def test_a_terminal_may_still_say_eddsa(self, kind: Kind) -> None:
        assert accepts(kind, world.forge({**kind.header, "alg": "EdDSA"}, kind.claims, kind.key))

    def test_claims_stay_shut_until_the_signature_stands(self) -> None:
        unverified = jose.read(COMMAND.good(), TYP_COMMAND)
        assert unverified.kid == jose.kid16(ISSUER)
        with pytest.raises(jose.JoseError, match="bad_signature"):
            unverified.claims(jose.public_jwk(STRANGER))

    def test_an_enrollment_is_verified_under_its_own_key(self) -> None:
        token = jose.sign({"a": 1}, TYP_ENROLL, STRANGER, embed_jwk=True)
        assert jose.verify_embedded(token, TYP_ENROLL) == ({"a": 1}, jose.public_jwk(STRANGER))

    def test_a_first_keyset_is_verified_under_one_of_its_roots(self) -> None:
        token = jose.sign(world.keyset(), TYP_KEYSET, ROOT)
        assert jose.verify_self_vouched(token, TYP_KEYSET, "roots") == (world.keyset(), jose.public_jwk(ROOT))
        for other in (jose.sign(world.keyset(), TYP_KEYSET, STRANGER), world.forge({}, {}, ROOT)):
            with pytest.raises(jose.JoseError, match=r"unknown_key|malformed"):
                jose.verify_self_vouched(other, TYP_KEYSET, "roots")


class TestForgeries:
    def test_there_are_enough_of_them(self) -> None:
        groups = {forgery.group for _, forgery in ALL}
        assert len(ALL) >= 200
        assert groups >= {"J01", "J02", "J03", "J04", "J05", "J06", "J07", "J08", "J09", "J11", "J17", "J18"}

    @pytest.mark.parametrize(
        ("kind", "forgery"), ALL, ids=[f"{kind.name}-{item.group}-{item.name}"[:80] for kind, item in ALL]
    )
    def test_a_forgery_is_refused_with_its_code(self, kind: Kind, forgery: Forgery) -> None:
        with pytest.raises((jose.JoseError, ProtocolError)) as refusal:
            accepts(kind, forgery.token)
        assert isinstance(refusal.value, jose.JoseError | ProtocolError)
        assert refusal.value.code == forgery.code

    @pytest.mark.parametrize("kind", READERS, ids=lambda kind: kind.name)
    def test_no_forgery_takes_long(self, kind: Kind) -> None:
        for forgery in forgeries(kind):
            started = time.process_time()
            with pytest.raises((jose.JoseError, ProtocolError)):
                accepts(kind, forgery.token)
            assert time.process_time() - started < 0.05, forgery.name


class TestKeys:
    def test_a_small_order_key_verifies_one_signature_for_every_message(self) -> None:
        identity = Ed25519PublicKey.from_public_bytes((1).to_bytes(32, "little"))
        universal = (1).to_bytes(32, "little") + bytes(32)
        for message in (b"one", b"two", b"anything"):
            identity.verify(universal, message)  # raises InvalidSignature if the claim is not true

    def test_small_order_signing_keys_are_refused(self) -> None:
        eights = order_eight_ys()
        assert len(eights) == 2
        for y in (0, 1, P - 1, *eights):
            for sign in (0, 1):
                with pytest.raises(jose.JoseError, match="malformed"):
                    jose.validate_public_key(key_of(y, sign), jose.SIGN)

    def test_an_enrollment_under_a_small_order_key_is_refused(self) -> None:
        header = {"alg": "Ed25519", "typ": TYP_ENROLL, "jwk": key_of(1)}
        universal = jose.b64u((1).to_bytes(32, "little") + bytes(32))
        token = f"{world.encoded(header)}.{world.encoded({'a': 1})}.{universal}"
        with pytest.raises(jose.JoseError, match="malformed"):
            jose.verify_embedded(token, TYP_ENROLL)

    @pytest.mark.parametrize("y", [P, P + 1, 2**255 - 1, 2])
    def test_non_canonical_or_off_curve_signing_keys_are_refused(self, y: int) -> None:
        with pytest.raises(jose.JoseError, match="malformed"):
            jose.validate_public_key(key_of(y), jose.SIGN)

    @pytest.mark.parametrize(
        "u",
        [
            0,
            1,
            P - 1,
            P,
            P + 1,
            2**255 + 9,
            325606250916557431795983626356110631294008115727848805560023387167927233504,
            39382357235489614581723060781553021112529911719440698176882885853963445705823,
        ],
    )
    def test_low_order_or_non_canonical_sealing_keys_are_refused(self, u: int) -> None:
        jwk = {"kty": "OKP", "crv": "X25519", "x": jose.b64u(u.to_bytes(32, "little"))}
        with pytest.raises(jose.JoseError, match="malformed"):
            jose.validate_public_key(jwk, jose.SEAL)

    @pytest.mark.parametrize("crv", [jose.SIGN, jose.SEAL])
    def test_fresh_keys_are_sound_and_private_ones_refused(self, crv: str) -> None:
        for _ in range(20):
            key = jose.generate_key(crv)
            assert jose.validate_public_key(jose.public_jwk(key), crv) == jose.public_jwk(key)
        wrongs: list[object] = [
            key,
            {**jose.public_jwk(key), "kty": "EC"},
            {**jose.public_jwk(key), "x": 5},
            [],
            None,
            {},
        ]
        for wrong in wrongs:
            with pytest.raises(jose.JoseError, match="malformed"):
                jose.validate_public_key(wrong, crv)

    def test_a_key_for_the_other_purpose_is_refused(self) -> None:
        with pytest.raises(jose.JoseError, match="malformed"):
            jose.validate_public_key(jose.public_jwk(OPENING), jose.SIGN)


class TestSealing:
    def test_only_the_right_key_and_binding_open(self) -> None:
        plaintext = {"cid": world.CID, "password": "482917"}
        token = jose.seal(plaintext, jose.public_jwk(OPENING), world.CID)
        assert jose.open_sealed(token, OPENING, world.CID) == plaintext
        for key, apv in ((world.opening_key(0x34), world.CID), (OPENING, "cmd_" + "D" * 16), (OPENING, "")):
            with pytest.raises(jose.JoseError, match="open_failed"):
                jose.open_sealed(token, key, apv)

    def test_the_header_is_exactly_what_the_protocol_says(self) -> None:
        header = jose._strict(jose.unb64u(world.sealed().split(".")[0]))
        assert set(header) == {"alg", "enc", "kid", "epk", "apv"}
        assert set(header["epk"]) == {"kty", "crv", "x"}

    def test_another_library_opens_what_we_seal(self) -> None:
        registry = jwe.JWERegistry(algorithms=["ECDH-ES", "A256GCM"])
        key = world.library_key(OPENING)
        assert b"482917" in (jwe.decrypt_compact(world.sealed(), key, registry=registry).plaintext or b"")

    def test_the_same_password_never_seals_alike(self) -> None:
        once, twice = (jose.seal({"password": "482917"}, OPENING, world.CID) for _ in range(2))
        assert once != twice


class TestAnyBytes:
    """Whatever comes in, only our own error comes out."""

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=200) | st.text(max_size=200))
    def test_random_input_is_refused_as_ours(self, token: bytes | str) -> None:
        for kind in READERS:
            with pytest.raises(jose.JoseError):
                accepts(kind, token)
        with pytest.raises(jose.JoseError):
            jose.verify_embedded(token, TYP_ENROLL)
        with pytest.raises(jose.JoseError):
            jose.verify_self_vouched(token, TYP_KEYSET, "roots")
        with pytest.raises(jose.JoseError):
            jose.open_sealed(token, OPENING, world.CID)

    @settings(max_examples=400, deadline=None)
    @given(st.data())
    def test_a_damaged_token_is_refused_as_ours(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(list(READERS)))
        token = bytearray(kind.good().encode())
        for _ in range(data.draw(st.integers(1, 4))):
            token[data.draw(st.integers(0, len(token) - 1))] = data.draw(st.integers(0, 255))
        if bytes(token) != kind.good().encode():
            with pytest.raises(jose.JoseError):
                accepts(kind, bytes(token))

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_a_damaged_sealed_part_does_not_open(self, data: st.DataObject) -> None:
        good = world.sealed().encode()
        token = bytearray(good)
        token[data.draw(st.integers(0, len(token) - 1))] = data.draw(st.integers(0, 255))
        if bytes(token) != good:
            with pytest.raises(jose.JoseError, match="open_failed"):
                jose.open_sealed(bytes(token), OPENING, world.CID)

    @settings(max_examples=300, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-5, 2**53) | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
            ),
            max_leaves=4,
        ),
        st.data(),
    )
    def test_a_signed_token_with_any_header_value_is_refused_as_ours(
        self, value: object, data: st.DataObject
    ) -> None:
        kind = data.draw(st.sampled_from(list(READERS)))
        member = data.draw(st.sampled_from(["alg", "typ", "kid", "crit", "jwk"]))
        if kind.header.get(member) != value:
            with pytest.raises(jose.JoseError):
                accepts(kind, world.forge({**kind.header, member: value}, kind.claims, kind.key))
            header = {"alg": "Ed25519", "typ": TYP_ENROLL, "jwk": jose.public_jwk(STRANGER), member: value}
            if member != "alg":
                with pytest.raises(jose.JoseError):
                    jose.verify_embedded(world.forge(header, {}, STRANGER), TYP_ENROLL)
