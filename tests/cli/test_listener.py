"""Taking the port, and saying in one line why it cannot be had."""

from __future__ import annotations

import socket

import pytest

from tailrace.cli import listener
from tailrace.errors import AddressInUse, ConfigError


def test_port_0_picks_a_free_one_and_the_url_says_which() -> None:
    with listener.listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        assert port > 0
        assert listener.url(listening) == f"http://127.0.0.1:{port}"


def test_a_taken_port_is_one_line_that_says_what_to_do() -> None:
    with listener.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUse) as refusal:
            listener.listen("127.0.0.1", port)
    assert str(port) in str(refusal.value)
    assert "--port" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_port_left_in_time_wait_can_be_taken_again_at_once() -> None:
    with listener.listen("127.0.0.1", 0) as listening:
        listening.setblocking(True)
        address = listening.getsockname()
        with socket.create_connection(address) as client, listening.accept()[0] as server:
            # The side that closes first is the one that keeps TIME_WAIT.
            server.shutdown(socket.SHUT_RDWR)
            assert client.recv(1) == b""
    with listener.listen(*address):
        pass


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host", "host.invalid"])
def test_a_host_that_is_not_ours_is_a_mistake_in_the_configuration(host: str) -> None:
    with pytest.raises(ConfigError, match="Cannot listen on"):
        listener.listen(host, 0)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.1", False),
        ("example.org", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_loopback_is_what_only_this_machine_can_reach(host: str, loopback: bool) -> None:
    assert listener.is_loopback(host) is loopback


def test_the_url_of_a_listener_on_all_addresses_is_one_that_a_browser_can_open() -> None:
    with listener.listen("0.0.0.0", 0) as listening:
        assert listener.url(listening).startswith("http://127.0.0.1:")
