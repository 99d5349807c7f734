"""The tables ``[[upstreams]]``: what may stand in them, and what a mistake is answered with."""

from __future__ import annotations

from typing import Any

import pytest

from tailrace.chat.upstreams import check, upstreams_of
from tailrace.config import load
from tailrace.errors import ConfigError
from tailrace.server.uses import SCHEMA
from tailrace.upstream.http.clocks import Clocks
from tailrace.upstream.routing.target import resolve
from tailrace.upstream.routing.upstream_spec import UpstreamSpec

SECRET = "sk-canary-0123456789"
LEAST = '[[upstreams]]\nname = "a"\nurl = "http://127.0.0.1:1/v1"\n'
FULL = """
port = 1

[[upstreams]]
name = "openai"
url = "https://api.openai.com/v1/"
api_key_envs = ["KEY_A", "KEY_B"]
models = ["gpt-*", "o3"]
weight = 3
max_streams = 20
max_queue = 5
queue_timeout = "10s"
disconnect = "keep=30"
first_byte_timeout = "2m"

[upstreams.aliases]
"best.one" = "gpt-4o"

[[upstreams]]
name = "claude"
url = "https://api.anthropic.com/v1"
api_key_env = "CLAUDE_KEY"
weight = 0
"""


def specs(file: str, **environ: str) -> tuple[UpstreamSpec, ...]:
    loaded = load(SCHEMA, {"config": "my.toml"}, environ, file)
    check(loaded)
    return tuple(upstreams_of(loaded))


def refusal(file: str) -> str:
    with pytest.raises(ConfigError) as error:
        specs(file)
    message = str(error.value)
    assert "\n" not in message
    assert "my.toml" in message
    assert SECRET not in message
    return message


def test_every_key_is_read() -> None:
    openai, claude = specs(FULL)
    assert openai == UpstreamSpec(
        name="openai",
        url="https://api.openai.com/v1",
        api_key_envs=("KEY_A", "KEY_B"),
        models=("gpt-*", "o3"),
        aliases=(("best.one", "gpt-4o"),),
        weight=3,
        disconnect="keep=30",
        max_streams=20,
        max_queue=5,
        queue_timeout=10,
        first_byte_timeout=120,
    )
    assert claude == UpstreamSpec(
        name="claude",
        url="https://api.anthropic.com/v1",
        api_key_envs=("CLAUDE_KEY",),
        weight=0,
    )


def test_without_tables_there_are_none() -> None:
    assert specs("port = 1") == ()
    assert tuple(upstreams_of(load(SCHEMA, {}, {}))) == ()


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("weight = -1", "weight"),
        ("weight = 1.5", "weight"),
        ('models = "gpt-*"', "models"),
        ("models = []", "models"),
        ('models = [""]', "models"),
        ("models = [1]", "models"),
        ('aliases = ["a"]', "aliases"),
        ("aliases = { a = 1 }", "aliases"),
        ('aliases = { "" = "x" }', "aliases"),
        ('auth = "basic"', "auth"),
        ('disconnect = "stay"', "disconnect"),
        ('disconnect = "keep=1.5"', "disconnect"),
        ("max_streams = -1", "max_streams"),
        ('queue_timeout = "soon"', "queue_timeout"),
        ("connect_timeout = 0", "connect_timeout"),
        (f'api_key_env = "{SECRET}"', "api_key_env"),
        (f'api_key_envs = ["{SECRET}"]', "api_key_envs"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_its_table_and_key(line: str, key: str) -> None:
    message = refusal(LEAST + LEAST.replace('"a"', '"b"') + line)
    assert message.startswith(f"{key} in [[upstreams]] 2 of my.toml must be ")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("[upstreams]\na = 1", "must be tables"),
        ("upstreams = 1", "must be tables"),
        ('[[upstreams]]\nname = "a"', "has no url"),
        ('[[upstreams]]\nurl = "http://127.0.0.1/v1"', "has no name"),
        (LEAST.replace('"a"', '"a b"'), "name in [[upstreams]] 1"),
        (LEAST + LEAST, "'a' twice"),
        (LEAST + "wieght = 1", "did you mean 'weight'?"),
        (LEAST + f'api_key = "{SECRET}"', "did you mean 'api_key_env'?"),
        (LEAST + 'api_key_env = "A"\napi_key_envs = ["B"]', "both"),
        ('upstream = "http://127.0.0.1/v1"\n' + LEAST, "both upstream and [[upstreams]]"),
        (LEAST.replace("upstreams", "upstraems"), "did you mean 'upstreams'?"),
        (LEAST.replace("127", f"{SECRET}@127"), "url in [[upstreams]] 1"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(file: str, said: str) -> None:
    assert said in refusal(file)


def test_one_upstream_named_elsewhere_wins_over_the_file_and_is_said() -> None:
    loaded = load(SCHEMA, {"config": "my.toml", "upstream": "http://127.0.0.1:2/v1"}, {}, LEAST)
    assert tuple(upstreams_of(loaded)) == ()
    assert "--upstream" in check(loaded)[0]
    loaded = load(
        SCHEMA, {"config": "my.toml"}, {"TAILRACE_UPSTREAM": "http://127.0.0.1:2/v1"}, LEAST
    )
    assert tuple(upstreams_of(loaded)) == ()
    assert "TAILRACE_UPSTREAM" in check(loaded)[0]


# --- from a table to a target -----------------------------------------------------------------


def spec(url: str = "http://127.0.0.1:1/v1", **given: Any) -> UpstreamSpec:
    return UpstreamSpec(name="a", url=url, **given)


@pytest.mark.parametrize(
    ("url", "auth"),
    [
        ("https://api.anthropic.com/v1", "x-api-key"),
        ("https://mine.openai.azure.com/openai/v1", "api-key"),
        ("https://api.openai.com/v1", "bearer"),
        ("https://openai.azure.com.evil.test/v1", "bearer"),
        ("http://127.0.0.1:1/v1", "bearer"),
    ],
)
def test_the_host_says_how_a_key_is_shown(url: str, auth: str) -> None:
    assert resolve(spec(url), {}, Clocks()).target.auth == auth
    assert resolve(spec(url, auth="api-key"), {}, Clocks()).target.auth == "api-key"


def test_keys_come_from_the_variables_that_are_named() -> None:
    environ = {"A": " one\n", "B": "two", "C": "one"}
    target, warning = resolve(spec(api_key_envs=("A", "B", "C")), environ, Clocks())
    assert target.keys == ("one", "two")
    assert warning == ""
    assert "two" not in repr(target)
    assert resolve(spec(), environ, Clocks()).target.keys == ()


def test_openais_own_key_goes_to_openai_only() -> None:
    environ = {"OPENAI_API_KEY": "sk"}
    assert resolve(spec("https://api.openai.com/v1"), environ, Clocks()).target.keys == ("sk",)
    assert resolve(spec("https://api.openai.com.evil/v1"), environ, Clocks()).target.keys == ()


@pytest.mark.parametrize(("variable", "shown"), [("MY_KEY", True), ("gsk_secret123", False)])
def test_a_variable_that_is_not_set_is_named_unless_it_may_be_a_key(
    variable: str, shown: bool
) -> None:
    with pytest.raises(ConfigError, match="'a'") as error:
        resolve(spec(api_key_envs=(variable,)), {"OTHER": "x"}, Clocks())
    assert (variable in str(error.value)) is shown


def test_a_key_that_anyone_can_read_on_the_way_is_warned_of() -> None:
    found = resolve(spec("http://10.0.0.5/v1", api_key_envs=("A",)), {"A": "sk"}, Clocks())
    assert "plain http" in found.warning
    assert "sk" not in found.warning.split()


def test_clocks_are_the_tables_or_else_everybodys() -> None:
    clocks = resolve(spec(first_byte_timeout=5.0), {}, Clocks(total=9)).target.clocks
    assert (clocks.first_byte, clocks.total) == (5, 9)


def test_connections_serve_a_target_as_long_as_nothing_of_them_changes() -> None:
    one = resolve(spec(api_key_envs=("A",)), {"A": "a"}, Clocks()).target
    same = resolve(spec(api_key_envs=("A",), models=("x",), weight=0), {"A": "a"}, Clocks()).target
    assert one.same_connection(same)
    for other in (
        resolve(spec(api_key_envs=("A",)), {"A": "b"}, Clocks()).target,
        resolve(spec(api_key_envs=("A",), auth="api-key"), {"A": "a"}, Clocks()).target,
        resolve(spec(api_key_envs=("A",), total_timeout=1.0), {"A": "a"}, Clocks()).target,
        resolve(spec("http://127.0.0.1:2/v1", api_key_envs=("A",)), {"A": "a"}, Clocks()).target,
    ):
        assert not one.same_connection(other)


def test_a_malformed_url_names_its_table() -> None:
    with pytest.raises(ConfigError, match="'a'"):
        resolve(spec("http://exa mple/v1"), {}, Clocks())
