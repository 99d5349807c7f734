"""Which proxy applies, as a table."""

from __future__ import annotations

import pytest

from tailrace.config.base_url import parse_base_url
from tailrace.errors import ConfigError
from tailrace.upstream.http.proxy import Proxy, choose_proxy

PLAIN = "http://model.test/v1"
SECURE = "https://model.test/v1"


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        (PLAIN, {}, None),
        (PLAIN, {"HTTP_PROXY": "http://p:3128"}, Proxy("p", 3128, "HTTP_PROXY")),
        (PLAIN, {"http_proxy": "p:3128"}, Proxy("p", 3128, "http_proxy")),
        (PLAIN, {"http_proxy": "a", "HTTP_PROXY": "b"}, Proxy("a", 80, "http_proxy")),
        (PLAIN, {"http_proxy": "", "HTTP_PROXY": "b"}, Proxy("b", 80, "HTTP_PROXY")),
        (PLAIN, {"HTTPS_PROXY": "p"}, None),
        (PLAIN, {"ALL_PROXY": "p", "HTTPS_PROXY": "q"}, Proxy("p", 80, "ALL_PROXY")),
        (PLAIN, {"all_proxy": "p", "HTTP_PROXY": "q"}, Proxy("q", 80, "HTTP_PROXY")),
        (PLAIN, {"HTTP_PROXY": "p", "REQUEST_METHOD": "GET"}, None),
        (
            PLAIN,
            {"http_proxy": "p", "REQUEST_METHOD": "GET"},
            Proxy("p", 80, "http_proxy"),
        ),
        (SECURE, {"HTTPS_PROXY": "http://p:8080/"}, Proxy("p", 8080, "HTTPS_PROXY")),
        (SECURE, {"HTTP_PROXY": "p"}, None),
        (SECURE, {"https_proxy": "http://[::1]:8080"}, Proxy("::1", 8080, "https_proxy")),
        (
            SECURE,
            {"https_proxy": "http://u%3A:p%40@h:1"},
            Proxy("h", 1, "https_proxy", b"Basic dTo6cEA="),
        ),
        (SECURE, {"https_proxy": "http://u@h:1"}, Proxy("h", 1, "https_proxy", b"Basic dTo=")),
        ("http://127.0.0.1:1/v1", {"HTTP_PROXY": "p", "ALL_PROXY": "p"}, None),
        ("http://localhost:1/v1", {"HTTP_PROXY": "p", "ALL_PROXY": "p"}, None),
        ("https://[::1]:1/v1", {"HTTPS_PROXY": "p"}, None),
    ],
)
def test_the_environment_decides(url: str, environ: dict[str, str], proxy: Proxy | None) -> None:
    assert choose_proxy(parse_base_url(url), environ) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("*", "model.test", True),
        ("model.test", "model.test", True),
        ("MODEL.test", "model.TEST", True),
        ("model.test", "a.model.test", True),
        (".model.test", "model.test", True),
        (".model.test", "a.model.test", True),
        ("model.test", "supermodel.test", False),
        ("model.test", "model.test.evil", False),
        ("*.model.test", "a.model.test", True),
        ("*.model.test", "model.test", False),
        ("model.test.", "model.test", True),
        ("other, model.test", "model.test", True),
        ("other model.test", "model.test", True),
        ("model.test:443", "model.test", True),
        ("model.test:8443", "model.test", False),
        ("model.test:8443", "model.test:8443", True),
        ("10.0.0.7", "10.0.0.7", True),
        ("10.0.0.7", "10.0.0.70", False),
        ("10.0.0.0/8", "10.200.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "10.example", False),
        ("10.0.0.7:443", "10.0.0.7", True),
        ("10.0.0.7:80", "10.0.0.7", False),
        ("2001:db8::1", "[2001:db8::1]", True),
        ("[2001:db8::1]", "[2001:db8:0::1]", True),
        ("[2001:db8::1]:443", "[2001:db8::1]", True),
        ("[2001:db8::1]:80", "[2001:db8::1]", False),
        ("2001:db8::/32", "[2001:db8:1::1]", True),
        ("fd00::/8", "[2001:db8::1]", False),
        ("", "model.test", False),
        (",, ,", "model.test", False),
        (".", "model.test", False),
        (":443", "model.test", False),
    ],
)
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_no_proxy_exempts_hosts(variable: str, no_proxy: str, host: str, direct: bool) -> None:
    environ = {"HTTPS_PROXY": "http://p:1", variable: no_proxy}
    proxy = choose_proxy(parse_base_url(f"https://{host}/v1"), environ)
    assert (proxy is None) is direct


@pytest.mark.parametrize(
    "value",
    [
        "socks5://u:hunter2@p:1080",
        "https://u:hunter2@p",
        "http://u:hunter2@",
        "http://u:hunter2@p:x",
        "http://[::1",
        "http://u:hunter2@p q:1",
    ],
)
def test_a_proxy_we_cannot_speak_to_is_refused_without_its_password(value: str) -> None:
    with pytest.raises(ConfigError, match="HTTPS_PROXY must name") as caught:
        choose_proxy(parse_base_url(SECURE), {"HTTPS_PROXY": value})
    assert "hunter2" not in str(caught.value)


def test_a_proxy_we_cannot_speak_to_does_not_matter_where_it_does_not_apply() -> None:
    environ = {"ALL_PROXY": "socks5://p:1080", "NO_PROXY": "model.test"}
    assert choose_proxy(parse_base_url(SECURE), environ) is None


def test_a_proxys_password_does_not_show_when_it_is_printed() -> None:
    proxy = choose_proxy(parse_base_url(SECURE), {"HTTPS_PROXY": "http://u:hunter2@p"})
    assert proxy is not None
    for shown in (str(proxy), repr(proxy)):
        assert "hunter2" not in shown
        assert "dTpodW50ZXIy" not in shown
