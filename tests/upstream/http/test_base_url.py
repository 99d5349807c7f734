"""Base URLs: what is taken, what is refused, and that a refusal repeats no secret."""

from __future__ import annotations

import pytest

from tailrace.errors import ConfigError
from tailrace.upstream.http.base_url import BaseUrl, parse_base_url


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


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("model.localhost", True),
        ("127.8.9.1", True),
        ("[::1]", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("notlocalhost", False),
        ("127.0.0.1.nip.io", False),
    ],
)
def test_loopback_is_told_by_name_or_address(host: str, loopback: bool) -> None:
    assert parse_base_url(f"http://{host}/v1").is_loopback is loopback
