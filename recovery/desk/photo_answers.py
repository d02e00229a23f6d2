"""Handing a photo out to a browser."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404

from recovery.desk.photos import bytes_of
from recovery.models import Photo


def photo_of(allowed: QuerySet[Photo], pk: str) -> HttpResponse:
    """One of the photos that this browser may see. Raises Http404, also for one that is forgotten."""
    jpeg = bytes_of(get_object_or_404(allowed, pk=pk))
    if not jpeg:
        raise Http404
    answer = HttpResponse(jpeg, content_type="image/jpeg")
    answer["Content-Disposition"] = 'inline; filename="photo.jpg"'
    return answer
