"""Who is asked for a model, in which order, under which name."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.upstream.routing.routing import choices, covers, named
from tailrace.upstream.routing.upstream_spec import UpstreamSpec


def spec(name: str, **given: Any) -> UpstreamSpec:
    return UpstreamSpec(name=name, url="http://127.0.0.1:1/v1", **given)


def order(specs: list[UpstreamSpec], model: str, draw: float = 0.5) -> list[str]:
    return [specs[place].name for place, _ in choices(specs, model, lambda: draw)]


def test_one_for_everything_answers_for_everything() -> None:
    assert order([spec("all")], "gpt-4o") == ["all"]
    assert order([spec("all")], "") == ["all"]


def test_nobody_answers_for_what_nobody_names() -> None:
    assert order([spec("a", models=("gpt-*",)), spec("b", models=("o3",))], "llama") == []


def test_names_come_before_globs_and_fallbacks_last_among_each() -> None:
    specs = [
        spec("glob-fallback", weight=0),
        spec("glob", models=("gpt-*",)),
        spec("name-fallback", models=("gpt-4o",), weight=0),
        spec("name", models=("o3", "gpt-4o")),
        spec("other", models=("o3",)),
    ]
    assert order(specs, "gpt-4o") == ["name", "name-fallback", "glob", "glob-fallback"]
    assert order(specs, "o3", 0.0) == ["name", "other", "glob-fallback"]


def test_fallbacks_stand_in_the_order_of_the_file() -> None:
    specs = [spec(name, weight=0) for name in "cab"]
    assert order(specs, "m") == ["c", "a", "b"]


def test_an_alias_is_a_name_and_the_upstream_gets_what_it_stands_for() -> None:
    specs = [spec("a", models=("llama-*",), aliases=(("fast", "llama-8b"),)), spec("b")]
    assert choices(specs, "fast", lambda: 0.5) == [(0, "llama-8b"), (1, "fast")]
    assert choices(specs, "llama-70b", lambda: 0.5)[0].model == "llama-70b"


@pytest.mark.parametrize(
    ("glob", "model", "matches"),
    [
        ("*", "", True),
        ("gpt-*", "gpt-4o", True),
        ("gpt-*", "GPT-4o", False),
        ("gpt-?", "gpt-4", True),
        ("gpt-?", "gpt-4o", False),
        ("o[134]", "o3", True),
        ("*/llama*", "meta/llama-3", True),
        ("a.c", "abc", False),
        ("gpt-4o", "gpt-4o-mini", False),
    ],
)
def test_globs(glob: str, model: str, matches: bool) -> None:
    assert covers(spec("a", models=(glob,)), model) is matches


def test_a_glob_is_no_name() -> None:
    assert named(spec("a", models=("gpt-*",)), "gpt-*") is None
    assert named(spec("a", models=("gpt-4",)), "gpt-4") == "gpt-4"


def test_without_a_model_it_is_always_the_same_one() -> None:
    specs = [spec("gpt", models=("gpt-*",)), spec("back", weight=0), spec("all"), spec("too")]
    for draw in (0.0, 0.5, 0.99):
        assert order(specs, "", draw) == ["all", "too", "back"]
    assert order(specs[:1], "") == ["gpt"]


def test_shares_are_as_the_weights_are() -> None:
    chance = random.Random(1)
    specs = [spec("a", weight=6), spec("b", weight=3), spec("c", weight=1), spec("d", weight=0)]
    found = [[place for place, _ in choices(specs, "m", chance.random)] for _ in range(20_000)]
    firsts = Counter(places[0] for places in found)
    assert {place: round(count / 20_000, 1) for place, count in firsts.items()} == {
        0: 0.6,
        1: 0.3,
        2: 0.1,
    }
    after_a = [places[1] for places in found if places[0] == 0]
    assert after_a.count(1) / len(after_a) == pytest.approx(0.75, abs=0.02)
    assert all(places[-1] == 3 for places in found)


names = st.sampled_from(["a", "b", "ab", "abc"])
specs = st.builds(
    lambda number, models, aliases, weight: spec(
        f"u{number}", models=tuple(models), aliases=tuple(aliases.items()), weight=weight
    ),
    st.integers(),
    st.lists(names | st.sampled_from(["*", "a*", "?b", "[ab]"]), min_size=1, max_size=3),
    st.dictionaries(names, names, max_size=2),
    st.integers(0, 3),
)


@given(st.lists(specs, max_size=6), names, st.integers())
def test_every_choice_answers_once_and_the_places_are_kept(
    all_specs: list[UpstreamSpec], model: str, seed: int
) -> None:
    found = choices(all_specs, model, random.Random(seed).random)
    places = [place for place, _ in found]
    assert len(set(places)) == len(places)
    answering = {
        place
        for place, each in enumerate(all_specs)
        if named(each, model) is not None or covers(each, model)
    }
    assert set(places) == answering
    ranks = [
        (named(all_specs[place], model) is None, all_specs[place].weight == 0) for place in places
    ]
    assert ranks == sorted(ranks)
    for place, name in found:
        assert name == (named(all_specs[place], model) or model)
