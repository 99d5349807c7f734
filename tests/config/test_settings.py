"""Settings: where a value may come from, who wins, and what a mistake is answered with."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.cli import config_page
from tailrace.config import Loaded, Schema, Settings, config_file, load, rows_of
from tailrace.config.kinds import seconds, show_seconds, show_size, size
from tailrace.errors import ConfigError
from tailrace.server.uses import SCHEMA

SECRET = "sk-canary-0123456789"
PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def settings(
    flags: dict[str, str] | None = None,
    environ: dict[str, str] | None = None,
    file: str | None = None,
) -> Any:
    """The values of all tables, by key."""
    loaded = load(SCHEMA, flags or {}, environ or {}, file)
    return SimpleNamespace(**{key: value for key, (value, _) in _values(loaded).items()})


def _values(loaded: Loaded) -> dict[str, tuple[Any, Any]]:
    """Of each key, its value and its default."""
    return {
        row.key: (getattr(values, row.key), getattr(table(), row.key))
        for table, values in loaded.tables.items()
        for row in rows_of(table)
    }


def refusal(
    flags: dict[str, str] | None = None,
    environ: dict[str, str] | None = None,
    file: str | None = None,
) -> str:
    with pytest.raises(ConfigError) as error:
        load(SCHEMA, flags or {}, {"TAILRACE_CONFIG": "my.toml", **(environ or {})}, file)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default() -> None:
    flags, environ, file = {"port": "1"}, {"TAILRACE_PORT": "2"}, "port = 3"
    assert settings(flags, environ, file).port == 1
    assert settings({}, environ, file).port == 2
    assert settings({}, {}, file).port == 3
    assert settings().port == 8080


def test_an_empty_variable_counts_as_unset_and_an_empty_flag_does_not() -> None:
    file = 'model = "from the file"'
    assert settings({}, {"TAILRACE_MODEL": ""}, file).model == "from the file"
    assert settings({"model": ""}, {}, file).model == ""


def test_the_configuration_file_is_named_by_flag_or_environment() -> None:
    assert config_file({}, {}) == ""
    assert config_file({}, {"TAILRACE_CONFIG": "b"}) == "b"
    assert config_file({"config": "a"}, {"TAILRACE_CONFIG": "b"}) == "a"


@pytest.mark.parametrize("row", SCHEMA.rows(), ids=lambda row: row.key)
def test_each_default_is_a_value_that_its_own_spelling_gives(row: Any) -> None:
    assert row.kind.parse(row.kind.show(row.default)) == row.default
    assert getattr(settings(), row.key) == row.default


@pytest.mark.parametrize(
    "row", [row for row in SCHEMA.rows() if row.in_file], ids=lambda row: row.key
)
def test_each_key_can_stand_in_the_file_as_toml_writes_it(row: Any) -> None:
    value = list(row.default) if isinstance(row.default, tuple) else row.default
    literal = str(value).lower() if isinstance(value, bool) else repr(value)
    assert tomllib.loads(f"{row.key} = {literal}")
    assert getattr(settings(file=f"{row.key} = {literal}"), row.key) == row.default


def test_lists_are_arrays_in_toml_and_separated_by_commas_elsewhere() -> None:
    expected = ("a.example", "b.example:8443")
    assert (
        settings(file='allowed_hosts = ["a.example", "b.example:8443"]').allowed_hosts == expected
    )
    assert settings({"allowed_hosts": "a.example, b.example:8443"}).allowed_hosts == expected


def test_origins_may_be_of_any_scheme() -> None:
    expected = ("https://a.example:8443", "app://obsidian.md", "chrome-extension://abc", "*")
    assert settings({"cors_origins": ", ".join(expected)}).cors_origins == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90), ("0.5", 0.5), ("20ms", 0.02), ("1.5h", 5400), ("10m", 600), ("7d", 604800)],
)
def test_durations_are_seconds_or_have_a_unit(text: str, value: float) -> None:
    assert settings({"retention_age": text}).retention_age == value


@pytest.mark.parametrize(
    ("text", "value"), [("65536", 65536), ("64KiB", 65536), ("1.5 MiB", 1572864), ("2GiB", 2 << 30)]
)
def test_sizes_are_bytes_or_have_a_unit(text: str, value: int) -> None:
    assert settings({"retention_size": text}).retention_size == value


@given(st.floats(0, 1e9).map(lambda value: round(value, 6)))
def test_a_duration_reads_back_as_it_is_shown(value: float) -> None:
    assert seconds(0, 1e9).parse(show_seconds(value)) == pytest.approx(value)


@given(st.integers(0, 1 << 50))
def test_a_size_reads_back_as_it_is_shown(value: int) -> None:
    assert size(0, 1 << 50).parse(show_size(value)) == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("port", "65536"),
        ("port", "-1"),
        ("port", "eighty"),
        ("port", "٨٠"),
        ("port", ""),
        ("heartbeat", "nan"),
        ("heartbeat", "15 parsecs"),
        ("heartbeat", "0"),
        ("max_url", "1KB"),
        ("max_url", "0.3"),
        ("max_body", "1e3"),
        ("durability", "hope"),
        ("insecure", "maybe"),
        ("upstream", "localhost:11434"),
        ("upstream", "ftp://example.org"),
        ("upstream", "http://"),
        ("upstream", "http://x:99999/v1"),
        ("upstream", "https://example.org/v1?key=1"),
        ("allowed_hosts", "https://example.org"),
        ("cors_origins", "example.org"),
        ("cors_origins", "https://example.org/"),
        ("cors_origins", "null"),
        ("cors_origins", "app://"),
        ("cors_origins", "://obsidian.md"),
        ("cors_origins", "https://b\u00fccher.example"),
        ("model", "a\nb"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_its_name_and_place(
    key: str, value: str
) -> None:
    flag = f"--{key.replace('_', '-')}"
    assert refusal({key: value}).startswith(f"{flag} must be ")
    if value:
        assert f"TAILRACE_{key.upper()} must be" in refusal({}, {f"TAILRACE_{key.upper()}": value})
    escaped = value.replace("\n", "\\n")
    assert f"{key} in my.toml must be" in refusal({}, {}, f'{key} = "{escaped}"')


@pytest.mark.parametrize(
    "line",
    ["port = true", "port = 80.5", "heartbeat = true", "heartbeat = inf", "model = 3",
     "insecure = 1", "allowed_hosts = [1]", "durability = 1", "max_url = 1979-05-27", "[port]"],
)  # fmt: skip
def test_a_value_of_the_wrong_toml_type_is_refused(line: str) -> None:
    assert "in my.toml must be" in refusal({}, {}, line)


def test_an_unknown_key_in_the_file_is_an_error_that_names_the_near_one() -> None:
    message = refusal({}, {}, "heartbeet = 3")
    assert "my.toml" in message
    assert "'heartbeet'" in message
    assert "did you mean 'heartbeat'?" in message


def test_a_wholly_strange_key_in_the_file_is_an_error_without_a_guess() -> None:
    message = refusal({}, {}, "zzzz = 3")
    assert "'zzzz'" in message
    assert "did you mean" not in message


def test_an_unknown_variable_of_ours_is_a_warning_and_others_are_none_of_our_business() -> None:
    loaded = load(SCHEMA, {}, {"TAILRACE_PROT": "80", "TAIL": "1", "PATH": "/bin"}, None)
    assert len(loaded.warnings) == 1
    assert "TAILRACE_PROT" in loaded.warnings[0]
    assert "TAILRACE_PORT" in loaded.warnings[0]
    assert loaded.settings == Settings()


def test_broken_toml_is_refused_with_file_and_line() -> None:
    message = refusal({}, {}, "port = 1\nmodel = yes")
    assert message.startswith("my.toml is not valid TOML: ")
    assert "line 2" in message


def test_the_upstreams_key_is_not_read_from_the_file() -> None:
    message = refusal({}, {}, f'upstream_api_key = "{SECRET}"')
    assert "TAILRACE_UPSTREAM_API_KEY" in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("environ", "file"),
    [
        ({"TAILRACE_TOKEN": f"{SECRET}\n{SECRET}"}, None),
        ({"TAILRACE_UPSTREAM_API_KEY": f"{SECRET} é"}, None),
        ({"TAILRACE_UPSTREAM": f"http://me:{SECRET}@example.org/v1"}, None),
        ({}, f'token = ["{SECRET}"]'),
        ({}, f"token = {SECRET}"),
        ({}, f'tokken = "{SECRET}"'),
        ({}, f'model = "{SECRET}'),
    ],
)
def test_no_refusal_repeats_a_secret(environ: dict[str, str], file: str | None) -> None:
    assert SECRET not in refusal({}, environ, file)


def test_settings_do_not_show_their_secrets() -> None:
    environ = {"TAILRACE_TOKEN": SECRET, "TAILRACE_UPSTREAM_API_KEY": SECRET}
    given = settings({}, environ)
    assert given.token == given.upstream_api_key == SECRET
    loaded = load(SCHEMA, {}, environ)
    assert SECRET not in repr(loaded)


def test_a_secret_has_no_flag() -> None:
    assert {row.key for row in SCHEMA.rows() if row.secret} == {"token", "upstream_api_key"}
    assert all(row.flag is None for row in SCHEMA.rows() if row.secret)


def test_white_space_around_a_key_from_a_file_or_command_is_not_part_of_it() -> None:
    assert settings({}, {"TAILRACE_TOKEN": f" {SECRET}\n"}).token == SECRET


def test_the_slash_at_the_end_of_a_base_url_makes_no_difference() -> None:
    assert settings({"upstream": "http://[::1]:8000/v1/"}).upstream == "http://[::1]:8000/v1"


def test_each_field_is_a_row_with_a_sentence_of_help() -> None:
    fields_of_tables = [field.name for table in SCHEMA.tables for field in fields(table)]
    assert [row.key for row in SCHEMA.rows()] == fields_of_tables
    assert all(row.help.endswith(".") and len(row.help) > 20 for row in SCHEMA.rows())


@pytest.mark.parametrize("table", SCHEMA.tables)
def test_the_sections_of_a_table_are_not_scattered(table: type[Any]) -> None:
    sections = [row.section for row in rows_of(table)]
    changes = sum(one != other for one, other in pairwise(sections))
    assert changes == len(set(sections)) - 1


def test_two_tables_cannot_have_a_setting_of_the_same_name() -> None:
    with pytest.raises(ValueError, match="port"):
        Schema((Settings, Settings))


def test_the_page_in_the_docs_is_the_one_that_the_table_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == config_page.page(), "stale: run make format"


def test_the_page_names_every_flag_and_variable() -> None:
    page = config_page.page()
    for row in SCHEMA.rows():
        assert f"`{row.env}`" in page
        assert row.flag is None or f"`{row.flag}`" in page
