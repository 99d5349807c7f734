"""What is kept for forks, against the rule written down naively."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Offset
from tailrace.stores.forks import Forks

# Either a stream with these as its ancestors, or the deletion of one: indexes into those made.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fork"), st.integers(0, 9)),
        st.tuples(st.just("delete"), st.integers(0, 9)),
    )
    | st.just(("make", 0)),
    max_size=40,
)


@given(STEPS)
def test_a_stream_is_erased_when_the_last_that_needs_it_is(steps: list[tuple[str, int]]) -> None:
    forks = Forks()
    ancestries: dict[str, list[str]] = {}
    there: dict[str, bool] = {}
    """Streams that are not erased, and whether they are deleted."""
    for verb, number in steps:
        made = list(ancestries)
        if verb == "delete" and made:
            generation = made[number % len(made)]
            if generation not in there:
                continue
            there[generation] = True
            expected = set()
            while gone := {
                name
                for name, deleted in there.items()
                if deleted and not any(name in ancestries[other] for other in there)
            }:
                expected |= gone
                for name in gone:
                    del there[name]
            erased = forks.delete(generation)
            assert set(erased) == expected
            assert len(erased) == len(expected)
        elif verb != "delete":
            alive = [name for name, deleted in there.items() if not deleted]
            source = alive[number % len(alive)] if verb == "fork" and alive else None
            name = f"g{len(made)}"
            ancestries[name] = [] if source is None else [*ancestries[source], source]
            there[name] = False
            forks.add(name, [Offset(ancestor, 0) for ancestor in ancestries[name]])
        for name, deleted in there.items():
            assert forks.is_deleted(name) is deleted


def test_what_a_file_says_of_forks_is_enough_to_go_on() -> None:
    forks = Forks()
    forks.add("c", (Offset("a", 1), Offset("b", 1)))
    forks.add("b", (Offset("a", 1),), deleted=True)
    forks.add("a", (), deleted=True)
    assert forks.delete("b") == []
    assert set(forks.delete("c")) == {"a", "b", "c"}
    assert forks.delete("d") == ["d"]


@given(
    st.lists(st.sets(st.integers(0, 7), max_size=3), min_size=1, max_size=8),
    st.lists(st.integers(0, 7), max_size=4),
    st.lists(st.integers(0, 7), max_size=6),
)
def test_a_plan_says_what_the_deletes_will_do(
    ancestors: list[set[int]], before: list[int], together: list[int]
) -> None:
    forks, there = Forks(), [f"g{n}" for n in range(len(ancestors))]
    for n, of in enumerate(ancestors):
        forks.add(there[n], [Offset(f"g{m}", 1) for m in of if m < n])
    gone: set[str] = set()
    for n in before:
        if n < len(there):
            gone.update(forks.delete(there[n]))
    wanted = [there[n] for n in together if n < len(there) and there[n] not in gone]
    plan = forks.plan(wanted)
    erased: set[str] = set()
    for generation in wanted:
        if generation not in erased:
            erased.update(forks.delete(generation))
    assert set(plan.erased) == erased
    assert not erased.intersection(plan.hidden)
    assert set(wanted) <= erased.union(plan.hidden)
    assert all(forks.is_deleted(generation) for generation in plan.hidden)
    assert forks.plan([]).erased == []
    assert forks.orphans() == []
