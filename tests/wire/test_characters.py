"""Text that was cut: where a frame of characters may end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import DATA, ERROR, Event
from tailrace.views.durable import DurableView
from tailrace.views.sse import SseView
from tailrace.views.text_units import whole_text
from tailrace.wire.characters import is_boundary, pieces, unfinished
from tailrace.wire.sse import Parser

GENERATION = "0" * 26
texts = st.text("aé漢🌊\n \u2028", max_size=30)


@given(st.binary(max_size=40), st.integers(4, 12), st.booleans())
def test_pieces_are_the_whole_and_none_is_empty_or_too_large(
    data: bytes, limit: int, text: bool
) -> None:
    cut = pieces(data, limit, text=text)
    assert b"".join(cut) == data
    assert all(0 < len(piece) <= limit for piece in cut)


@given(texts, st.integers(4, 12))
def test_a_whole_text_is_cut_between_characters(text: str, limit: int) -> None:
    assert "".join(piece.decode() for piece in pieces(text.encode(), limit, text=True)) == text


@given(texts, st.data())
def test_what_a_body_cuts_of_a_character_is_a_piece_of_its_own(
    text: str, data: st.DataObject
) -> None:
    whole = text.encode()
    place = data.draw(st.integers(0, len(whole)))
    for body in (whole[:place], whole[place:]):
        for piece in pieces(body, 1000, text=True):
            try:
                piece.decode()
            except UnicodeDecodeError:
                assert len(piece) <= 3


@given(texts, st.data())
def test_a_place_in_a_text_is_a_boundary_exactly_between_characters(
    text: str, data: st.DataObject
) -> None:
    whole = text.encode()
    place = data.draw(st.integers(0, len(whole)))
    before, following = whole[:place], whole[place:]
    if not before or not following:
        return
    try:
        before.decode()
        between = True
    except UnicodeDecodeError:
        between = False
    assert is_boundary(before, following) is between
    assert (unfinished(before) == 0) is between


def cut(whole: bytes, sizes: list[int]) -> list[Event]:
    """Events as bodies of these sizes make them."""
    found: list[bytes] = []
    for size in sizes:
        found += pieces(whole[:size], 8, text=True)
        whole = whole[size:]
    found += pieces(whole, 8, text=True)
    return [Event(seq, 0, DATA, piece) for seq, piece in enumerate(found, 1)]


@given(texts, st.lists(st.integers(1, 5), max_size=20), st.integers(1, 6))
def test_frames_of_a_text_that_was_cut_anywhere_hold_whole_characters(
    text: str, sizes: list[int], batch: int
) -> None:
    events = cut(text.encode(), sizes)
    for view in (DurableView("text/plain"), SseView("text/plain")):
        parser, got, start, count = Parser(max_event=1 << 20), "", 0, batch
        while start < len(events):
            part = events[start : start + count]
            whole = view.whole(part, fewest=False, last=start + count >= len(events))
            count = batch if whole else count + 1
            if not whole:
                continue
            assert 0 < view.whole(part, fewest=True, last=True) <= len(part)
            for event in parser.feed(view.encode(GENERATION, part[:whole])):
                got += event.data.decode()  # raises where a character was cut
            start += whole
            assert parser.last_event_id == f"{GENERATION}_{start:016d}"
        assert got == text


def test_another_event_ends_a_character_that_was_cut() -> None:
    events = [Event(1, 0, DATA, b"a\xe4"), Event(2, 0, ERROR, b"{}"), Event(3, 0, DATA, b"\xbd")]
    assert whole_text(events, fewest=True, last=False) == 1
    assert whole_text(events[:1], fewest=True, last=False) == 0
    assert whole_text(events[:1], fewest=True, last=True) == 1
