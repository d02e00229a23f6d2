"""Pictures are drawn anew: what comes out is a plain JPEG, whatever was in the file. No Django here."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageOps

FILE_MAX: Final = 4 * 1024 * 1024
FORMATS: Final = ("JPEG", "PNG")
PIXELS_MAX: Final = 16_000_000
SIDE_MAX: Final = 1600  # enough to read a licence or a screen on a photo
QUALITY: Final = 82
# Drawing takes memory: 110 MB for the largest PNG.
AT_ONCE: Final = threading.BoundedSemaphore(2)


class NoPicture(ValueError):
    """The file is no JPEG or PNG, is broken, or is too large."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG without any metadata, and its size in pixels."""

    jpeg: bytes
    width: int
    height: int


def redraw(data: bytes) -> Picture:
    """Draw a picture anew, upright and 1,600 pixels wide or high at most. Raises NoPicture."""
    if len(data) > FILE_MAX:
        raise NoPicture
    with AT_ONCE:
        try:
            return _drawn(data)
        # The decoders raise whatever comes to them on a broken file.
        except Exception as error:
            raise NoPicture from error


def _drawn(data: bytes) -> Picture:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if image.width * image.height > PIXELS_MAX:
            raise NoPicture
        image.draft("RGB", (SIDE_MAX, SIDE_MAX))
        plain = _on_white(ImageOps.exif_transpose(image))
    plain.thumbnail((SIDE_MAX, SIDE_MAX))
    # A new image, so that nothing that was attached to the old one can come along.
    fresh = Image.new("RGB", plain.size)
    fresh.paste(plain)
    out = io.BytesIO()
    fresh.save(out, "JPEG", quality=QUALITY)
    return Picture(out.getvalue(), fresh.width, fresh.height)


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    clear = image.convert("RGBA")
    ground = Image.new("RGB", clear.size, "white")
    ground.paste(clear, mask=clear.getchannel("A"))
    return ground
