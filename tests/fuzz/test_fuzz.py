"""A short run of each fuzzer; ``make prove-fuzz`` runs them for ten minutes each."""

from __future__ import annotations

from typing import Final

import pytest

from tests.fuzz.campaign import Campaign, chosen_seed
from tests.fuzz.fuzzers import FUZZERS

# Some two seconds each.
CASES: Final = {"requests": 150, "upstreams": 80, "stores": 120}


@pytest.mark.parametrize("name", CASES)
def test_no_generated_input_breaks_a_rule(name: str) -> None:
    with FUZZERS[name]() as fuzzer:
        outcome = Campaign(fuzzer, chosen_seed(), cases=CASES[name]).run()
    assert not outcome.reports, "\n".join(outcome.reports)
