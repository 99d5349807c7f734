"""The table of stores by URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailrace.config import Loaded
from tailrace.errors import ConfigError
from tailrace.stores import SCHEMES, MemoryStore, SqliteStore, open_url

DEFAULTS = Loaded({scheme.settings: scheme.settings() for scheme in SCHEMES.values()}, {}, {}, [])


def test_each_scheme_makes_its_store(tmp_path: Path) -> None:
    assert isinstance(open_url("memory:", DEFAULTS), MemoryStore)
    assert isinstance(open_url(f"sqlite:{tmp_path / 'x.db'}", DEFAULTS), SqliteStore)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["", "postgres://x", "memory", "store.db", "SQLITE:x"])
def test_an_unknown_scheme_is_refused_with_those_that_are_known(url: str) -> None:
    with pytest.raises(ConfigError, match=r"memory:, sqlite:"):
        open_url(url, DEFAULTS)


@pytest.mark.parametrize("url", ["memory:x", "sqlite:"])
def test_a_scheme_with_the_wrong_rest_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        open_url(url, DEFAULTS)
