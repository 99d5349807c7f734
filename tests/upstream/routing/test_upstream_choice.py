"""Which upstream applies, and where a key may go."""

from __future__ import annotations

import pytest

from tailrace.errors import ConfigError, UpstreamMissing
from tailrace.upstream.routing.choice import UpstreamChoice, choose_upstream

OURS = {"TAILRACE_UPSTREAM_API_KEY": "ours"}
OPENAI = {"OPENAI_API_KEY": "sk-openai"}
LOCAL_URL = "http://127.0.0.1:11434/v1"
OPENAI_URL = "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("url", "environ", "local", "choice"),
    [
        (LOCAL_URL, {}, True, UpstreamChoice("configured", LOCAL_URL)),
        (LOCAL_URL, OURS, True, UpstreamChoice("configured", LOCAL_URL, "ours")),
        (LOCAL_URL, OPENAI, True, UpstreamChoice("configured", LOCAL_URL)),
        (OPENAI_URL, OPENAI, True, UpstreamChoice("configured", OPENAI_URL, "sk-openai")),
        (OPENAI_URL, OURS | OPENAI, True, UpstreamChoice("configured", OPENAI_URL, "ours")),
        ("", OPENAI, True, UpstreamChoice("openai", OPENAI_URL, "sk-openai")),
        (
            "",
            {"OPENAI_API_KEY": " sk-openai\n"},
            False,
            UpstreamChoice("openai", OPENAI_URL, "sk-openai"),
        ),
        ("", {}, True, UpstreamChoice("local")),
        ("", {"OPENAI_API_KEY": ""}, True, UpstreamChoice("local")),
    ],
)
def test_the_first_that_applies_is_chosen(
    url: str, environ: dict[str, str], local: bool, choice: UpstreamChoice
) -> None:
    assert choose_upstream(url, "", environ, local) == choice


@pytest.mark.parametrize(
    "url",
    [
        "http://api.openai.com/v1",
        "https://api.openai.com:8443/v1",
        "https://api.openai.com.evil.test/v1",
        "https://evil.test/api.openai.com/v1",
        "https://eu.api.openai.com/v1",
        "https://openai.com/v1",
        "https://example.test/v1",
    ],
)
def test_the_openai_key_goes_to_openai_over_tls_only(url: str) -> None:
    assert choose_upstream(url, "", OPENAI, True).api_key is None


def test_the_variable_that_the_config_names_holds_the_key() -> None:
    environ = {"GROQ_KEY": "gsk"}
    assert choose_upstream(LOCAL_URL, "GROQ_KEY", environ, False).api_key == "gsk"
    assert choose_upstream(LOCAL_URL, "GROQ_KEY", environ | OURS, False).api_key == "ours"


def test_a_named_variable_that_is_not_set_is_an_error() -> None:
    with pytest.raises(ConfigError, match="GROQ_KEY"):
        choose_upstream(LOCAL_URL, "GROQ_KEY", {}, False)


def test_without_any_upstream_one_line_names_the_three_ways() -> None:
    with pytest.raises(UpstreamMissing) as caught:
        choose_upstream("", "", {}, False)
    message = str(caught.value)
    assert "\n" not in message
    assert all(way in message for way in ("--upstream", "OPENAI_API_KEY", "tailrace[local]"))


@pytest.mark.parametrize(
    ("url", "environ", "warned"),
    [
        ("http://10.0.0.5:8000/v1", OURS, True),
        ("http://model.test/v1", OURS, True),
        ("http://model.test/v1", {}, False),
        ("https://model.test/v1", OURS, False),
        (LOCAL_URL, OURS, False),
        ("http://localhost:8000/v1", OURS, False),
    ],
)
def test_a_key_that_anyone_can_read_on_the_way_is_warned_of(
    url: str, environ: dict[str, str], warned: bool
) -> None:
    choice = choose_upstream(url, "", environ, False)
    assert ("plain http" in choice.warning) is warned
    assert "ours" not in choice.warning


def test_a_key_without_its_upstream_is_warned_of_and_not_used() -> None:
    choice = choose_upstream("", "", OURS, True)
    assert choice.api_key is None
    assert "TAILRACE_UPSTREAM_API_KEY" in choice.warning


def test_a_key_does_not_show_when_a_choice_is_printed() -> None:
    assert "sk-openai" not in repr(choose_upstream("", "", OPENAI, False))


def test_a_malformed_url_is_refused() -> None:
    with pytest.raises(ConfigError):
        choose_upstream("localhost:11434", "", {}, True)
