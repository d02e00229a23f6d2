"""Photos on tickets: drawn anew, capped, handed to those who may read, and forgotten."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from portal.admin_site import change_address
from portal.bodies import limit_of
from portal.models import Merchant, User
from portal.roles import Role
from recovery import tasks
from recovery.desk import pictures, tickets
from recovery.models import Photo, Ticket, TicketEntry
from tests.cast import make_member, make_other_merchant, make_owner, signed_in
from tests.recovery.test_conversation import Merchantess, answered
from tests.recovery.visitor import PHONE, SHOP, Visitor, make_shop

PLACE = 0x8825  # the EXIF directory of the place
TURNED = 0x0112


def picture(kind: str = "JPEG", size: tuple[int, int] = (400, 200), mode: str = "RGB", **how: Any) -> bytes:
    """A file with a picture."""
    out = io.BytesIO()
    Image.new(mode, size, "red").save(out, kind, **how)
    return out.getvalue()


def sent(data: bytes, name: str = "licence.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data, "image/jpeg")


# ── drawing ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_picture_loses_place_time_and_whatever_else_was_in_the_file() -> None:
    marks = Image.Exif()
    marks[TURNED] = 6
    marks.get_ifd(PLACE)[1] = "N"
    marks[0x010E] = "SECRET-NOTE"
    data = picture(exif=marks, comment=b"SECRET-COMMENT") + b"<script>SECRET-TAIL</script>"
    drawn = pictures.redraw(data)
    assert (drawn.width, drawn.height) == (200, 400)
    assert b"SECRET" not in drawn.jpeg and drawn.jpeg.startswith(b"\xff\xd8")
    again = Image.open(io.BytesIO(drawn.jpeg))
    assert not again.getexif() and again.format == "JPEG"


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1")]
)
def test_every_kind_of_colour_is_drawn(kind: str, mode: str) -> None:
    data = io.BytesIO()
    Image.new(mode, (3000, 30)).save(data, kind)
    drawn = pictures.redraw(data.getvalue())
    assert (drawn.width, drawn.height) == (pictures.SIDE_MAX, 16)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"%PDF-1.7",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        picture()[:200],
        picture("GIF"),
        picture("BMP"),
        picture("PNG", (5000, 5000)),
        b"\xff\xd8" + b"\0" * 100,
        picture("PNG")[:40] + b"\xff" * 60,
        b"x" * (pictures.FILE_MAX + 1),
    ],
    ids=["empty", "pdf", "svg", "cut", "gif", "bmp", "large", "zeros", "broken", "long"],
)
def test_what_is_no_picture_or_too_large_is_refused(data: bytes) -> None:
    with pytest.raises(pictures.NoPicture):
        pictures.redraw(data)


def test_only_where_photos_are_sent_a_body_may_be_that_large() -> None:
    assert limit_of("/support/follow/ticket") > pictures.FILE_MAX
    assert limit_of("/support/tickets/R7F3-K229") > pictures.FILE_MAX
    assert limit_of("/support") == limit_of("/support/follow") == limit_of("/") < pictures.FILE_MAX


# ── on a ticket ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def agent(db: None) -> User:
    return make_member("agent", Role.AGENT)


@pytest.fixture
def ticket(agent: User) -> Ticket:
    Visitor().post("support", phone=PHONE, text="忘了")
    return answered(Ticket.objects.get(), agent)


@pytest.fixture
def merchantess(ticket: Ticket) -> Merchantess:
    """Somebody to whom a code has opened the ticket."""
    browser = Merchantess()
    browser.ask(ticket.number)
    browser.type(browser.code)
    return browser


def send(browser: Merchantess, data: bytes, text: str = "") -> Any:
    return browser.client.post("/support/follow/ticket", {"text": text, "photo": sent(data)}, follow=True)


def address_of(photo: Photo) -> str:
    return reverse("recovery:follow_photo", args=[photo.pk])


def test_a_photo_is_seen_by_the_merchant_and_the_desk_and_is_sealed(
    merchantess: Merchantess, ticket: Ticket, agent: User
) -> None:
    page = send(merchantess, picture()).content.decode()
    photo = Photo.objects.get()
    assert address_of(photo) in page and not Merchantess().client.get(address_of(photo)).content
    answer = merchantess.client.get(address_of(photo))
    assert answer.headers["Content-Type"] == "image/jpeg" and answer.content.startswith(b"\xff\xd8")
    assert "no-store" in answer.headers["Cache-Control"]
    desk = signed_in(agent)
    shown = reverse("admin:recovery_ticket_photo", args=[photo.pk])
    assert shown in desk.get(change_address(ticket)).content.decode()
    assert desk.get(shown).content == answer.content
    with connection.cursor() as cursor:
        cursor.execute("SELECT sealed FROM recovery_photo")
        assert cursor.fetchone()[0].startswith("v1.")


def test_a_photo_or_words_there_must_be(merchantess: Merchantess, ticket: Ticket) -> None:
    assert "errornote" not in send(merchantess, picture(), "look").content.decode()
    send(merchantess, b"no picture", "look")
    merchantess.say("")
    assert ticket.entries.filter(author="merchant").count() == 2
    assert Photo.objects.get().entry.text == "look"


def test_ten_photos_a_day_are_taken(merchantess: Merchantess, settings: Any) -> None:
    settings.REKEY_LIMITS = {"follow": "100/hour", "photos-per-ticket": "2/day"}
    for _ in range(3):
        send(merchantess, picture())
    assert Photo.objects.count() == 2
    assert TicketEntry.objects.filter(photo=None, author="merchant").count() == 1


def test_nobody_sees_a_photo_of_anothers_ticket_or_of_a_note(
    merchantess: Merchantess, ticket: Ticket, agent: User
) -> None:
    send(merchantess, picture())
    photo = Photo.objects.get()
    make_shop()
    owner = make_owner(Merchant.objects.get(number=SHOP))
    mine = tickets.open_about_shop(Merchant.objects.get(number=SHOP), "code", "Mine", "x")
    mine.entries.create(author="merchant", text="mine")
    client = signed_in(owner)
    for number in (mine.number, ticket.number):
        assert client.get(reverse("recovery:case_photo", args=[number, photo.pk])).status_code == 404
    assert signed_in(make_member("nobody")).get(
        reverse("admin:recovery_ticket_photo", args=[photo.pk])
    ).status_code in (302, 403)
    photo.entry.author, photo.entry.internal = "staff", True
    photo.entry.save()
    assert merchantess.client.get(address_of(photo)).status_code == 404


def test_an_owner_sends_a_photo_and_sees_it(agent: User) -> None:
    make_shop()
    make_other_merchant()
    client = signed_in(make_owner(Merchant.objects.get(number=SHOP)))
    client.post("/support", {"phone": "", "text": "the screen"})
    ticket = Ticket.objects.get()
    page = reverse("recovery:case", args=[ticket.number])
    client.post(page, {"text": "", "photo": sent(picture("PNG"), "a.svg")})
    address = reverse("recovery:case_photo", args=[ticket.number, Photo.objects.get().pk])
    assert address in client.get(page).content.decode()
    assert client.get(address).status_code == 200
    assert Client().get(address).status_code == 302


def test_after_thirty_days_a_photo_is_forgotten_and_its_entry_stays(merchantess: Merchantess) -> None:
    send(merchantess, picture(), "look")
    tasks.forget_photos()
    photo = Photo.objects.get()
    assert photo.sealed
    Photo.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    tasks.forget_photos()
    photo.refresh_from_db()
    assert (photo.sealed, photo.expires_at) == ("", None)
    assert merchantess.client.get(address_of(photo)).status_code == 404
    page = merchantess.read()
    assert "look" in page and "not kept any more" in page
