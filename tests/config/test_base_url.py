"""Base URLs: what is taken, what is refused, and that a refusal repeats no secret."""

from __future__ import annotations

import pytest

from tailrace.config import kinds
from tailrace.config.base_url import BaseUrl, parse_base_url
from tailrace.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "parsed", "shown"),
    [
        (
            "http://127.0.0.1:11434/v1",
            BaseUrl("http", "127.0.0.1", 11434, "/v1"),
            "http://127.0.0.1:11434/v1",
        ),
        (
            "https://API.OpenAI.com/v1/",
            BaseUrl("https", "api.openai.com", 443, "/v1"),
            "https://api.openai.com/v1",
        ),
        ("HTTP://model_server", BaseUrl("http", "model_server", 80, ""), "http://model_server"),
        ("http://[::1]:8080/", BaseUrl("http", "::1", 8080, ""), "http://[::1]:8080"),
        ("https://h/a/b%20c", BaseUrl("https", "h", 443, "/a/b%20c"), "https://h/a/b%20c"),
    ],
)
def test_a_base_url_is_taken_as_sdks_take_it(text: str, parsed: BaseUrl, shown: str) -> None:
    assert parse_base_url(text) == parsed
    assert str(parsed) == shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("http://h/a b", "a space"),
        ("http://h/\r\nx: y", "a space"),
        ("http://bücher.test", "outside ASCII"),
        ("localhost:11434/v1", "must begin with http"),
        ("ftp://h/", "must begin with http"),
        ("//h/v1", "must begin with http"),
        ("http://", "no host"),
        ("http:///v1", "no host"),
        ("http://:80/v1", "no host"),
        ("http://a..b/", "no host, or a malformed one"),
        ("http://" + "a" * 64, "malformed"),
        ("http://h:99999/", "malformed host or port"),
        ("http://h:0/", "malformed host or port"),
        ("http://h:x/", "malformed host or port"),
        ("http://[::1", "malformed host or port"),
        ("http://[fe80::1%25eth0]/", "malformed"),
        ("http://[1.2.3.4]/", "malformed"),
        ("http://user:hunter2@h/", "must not hold credentials"),
        ("http://hunter2@h/", "must not hold credentials"),
        ("http://@h/", "must not hold credentials"),
        ("http://h/v1?key=hunter2", "query or a fragment"),
        ("http://h/v1#hunter2", "query or a fragment"),
        ("http://h/v1?", "query or a fragment"),
        ("sk-hunter2", "must begin with http"),
    ],
)
def test_anything_else_is_refused_in_one_line_without_repeating_it(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_base_url(text)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["http://a..b/v1", "http://[::1%25eth0]/", "http://user@h/v1"])
def test_a_setting_takes_no_url_that_cannot_be_taken_apart(text: str) -> None:
    with pytest.raises(ValueError, match="a base URL such as"):
        kinds.base_url().parse(text)


@pytest.mark.parametrize(
    ("host", "loopback"), [("[::1]", True), ("localhost", True), ("10.0.0.1", False)]
)
def test_a_url_is_of_loopback_where_its_host_is(host: str, loopback: bool) -> None:
    assert parse_base_url(f"http://{host}/v1").is_loopback is loopback
