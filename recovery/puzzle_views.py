"""Before the first text to a browser that has asked often: a puzzle, or a wait without scripts (T04)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from portal import known_browsers, puzzles
from portal.network import address_block, client_address
from recovery.pages import page

# What the first form asked, carried on unseen.
KEPT = ("shop", "phone", "email", "form")


def ask_first(request: HttpRequest, *about: str) -> HttpResponse | None:
    """The page with the puzzle; None for a browser that may go on. The same for everybody."""
    block, token = address_block(client_address(request)), known_browsers.token_of(request)
    if not puzzles.is_due(f"known:{token}" if token else block):
        return None
    puzzle = puzzles.read(request.POST.get("puzzle", ""), *about)
    if puzzle is not None and puzzles.is_solved(puzzle, request.POST.get("answer", ""), block):
        return None
    if puzzle is None or puzzle.wait == 0:
        puzzle = puzzles.set_puzzle(*about)
    kept = [(name, request.POST[name]) for name in KEPT if name in request.POST]
    return page(request, "puzzle", None, 1, puzzle=puzzle, kept=kept)
