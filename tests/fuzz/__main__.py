"""Runs the fuzzers: ``python -m tests.fuzz [NAME …] [--minutes 10] [--seed N] [--case K]``."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from tests.fuzz.campaign import SEED, Campaign, chosen_seed
from tests.fuzz.fuzzers import FUZZERS


def main() -> int:
    """Run what the command line names; the exit code is 1 if there was a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FUZZERS))
    parser.add_argument("--minutes", type=float, default=10.0, help="for each fuzzer (default 10)")
    parser.add_argument("--cases", type=int, help="instead of a time")
    parser.add_argument("--seed", type=int, help=f"repeats a run (default {SEED}, or random)")
    parser.add_argument("--case", type=int, help="run this case and no other")
    parser.add_argument("--keep-going", action="store_true", help="the first finding of each kind")
    given = parser.parse_args()
    unknown = set(given.names) - FUZZERS.keys()
    if unknown:
        parser.error(f"no fuzzer is called {', '.join(sorted(unknown))}; there are {list(FUZZERS)}")
    seed = given.seed if given.seed is not None else chosen_seed()
    found = 0
    for name in given.names or FUZZERS:
        with FUZZERS[name]() as fuzzer:
            outcome = Campaign(
                fuzzer,
                seed,
                cases=given.cases,
                seconds=None if given.cases else given.minutes * 60,
                only=given.case,
                keep_going=given.keep_going,
                say=partial(print, flush=True),
            ).run()
        found += len(outcome.reports)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
