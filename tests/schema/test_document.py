"""The OpenAPI document is checked in as it is served, and names every door."""

from __future__ import annotations

import json

from django.test import Client

from tests.schema.__main__ import FILE, served


def test_the_document_is_checked_in_as_it_is_served(db: None) -> None:
    assert FILE.read_text("utf-8") == served(), "run `python -m tests.schema`"
    assert Client().get("/terminal/v1/openapi.json").json() == json.loads(served())


def test_it_is_version_3_1_and_has_the_poll() -> None:
    document = json.loads(served())
    assert document["openapi"].startswith("3.1")
    poll = document["paths"]["/terminal/v1/commands"]["get"]
    assert {"200", "204", "304"} <= set(poll["responses"]) and poll["security"]


def test_every_door_but_two_wants_a_bearer_and_every_refusal_is_a_problem() -> None:
    document = json.loads(served())
    doors = {path: way for path, ways in document["paths"].items() for way in ways.values()}
    assert {path.rpartition("/v1/")[2] for path, way in doors.items() if "security" not in way} == {
        "enroll",
        "keysets/{version}",
    }
    for way in doors.values():
        refusals = [said for status, said in way["responses"].items() if int(status) >= 400]
        assert all(set(said["content"]) == {"application/problem+json"} for said in refusals)
