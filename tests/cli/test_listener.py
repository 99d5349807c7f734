"""Taking the port, and saying in one line why it cannot be had."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from tailrace.cli import listener
from tailrace.errors import AddressInUse, ConfigError


def test_port_0_picks_a_free_one_and_the_url_says_which() -> None:
    with listener.listen("127.0.0.1", 0) as listening:
        assert listening.port > 0
        assert listening.where == f"http://127.0.0.1:{listening.port}"


def test_a_taken_port_is_one_line_that_says_what_to_do() -> None:
    with listener.listen("127.0.0.1", 0) as taken:
        port = taken.port
        with pytest.raises(AddressInUse) as refusal:
            listener.listen("127.0.0.1", port)
    assert str(port) in str(refusal.value)
    assert "--port" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_port_left_in_time_wait_can_be_taken_again_at_once() -> None:
    with listener.listen("127.0.0.1", 0) as listening:
        (sock,) = listening.sockets
        sock.setblocking(True)
        address = sock.getsockname()
        with socket.create_connection(address) as client, sock.accept()[0] as server:
            # The side that closes first is the one that keeps TIME_WAIT.
            server.shutdown(socket.SHUT_RDWR)
            assert client.recv(1) == b""
    with listener.listen(*address):
        pass


needs_ipv6 = pytest.mark.skipif(not socket.has_ipv6, reason="Python without IPv6")


def accepts(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=10):
            return True
    except OSError:
        return False


@needs_ipv6
def test_localhost_is_both_families_on_one_port() -> None:
    with listener.listen("localhost", 0) as listening:
        port = listening.port
        assert len({sock.getsockname()[1] for sock in listening.sockets}) == 1
        assert accepts(("127.0.0.1", port))
        assert accepts(("::1", port))
        assert listening.where == f"http://localhost:{port}"
        assert listening.is_local


@needs_ipv6
def test_localhost_is_refused_where_its_port_is_taken_in_one_family() -> None:
    with listener.listen("::1", 0) as taken:
        with pytest.raises(AddressInUse):
            listener.listen("localhost", taken.port)
        assert not accepts(("127.0.0.1", taken.port))


@needs_ipv6
def test_with_port_0_another_one_is_drawn_where_it_is_taken_in_one_family(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create, draws = socket.create_server, 0

    def taken_at_first(address: tuple[str, int], **options: Any) -> socket.socket:
        nonlocal draws
        draws += address[0] == "::1"
        if draws == 1 and address[0] == "::1":
            raise OSError(errno.EADDRINUSE, "taken")
        return create(address, **options)

    monkeypatch.setattr(socket, "create_server", taken_at_first)
    with listener.listen("localhost", 0) as listening:
        assert [sock.getsockname()[1] for sock in listening.sockets] == [listening.port] * 2
    assert draws == 2


@pytest.mark.parametrize("error", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_where_one_family_is_missing_the_other_serves(
    monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    create = socket.create_server

    def without_ipv6(address: tuple[str, int], **options: Any) -> socket.socket:
        if ":" in address[0]:
            raise OSError(error, "no IPv6 here")
        return create(address, **options)

    monkeypatch.setattr(socket, "create_server", without_ipv6)
    with listener.listen("localhost", 0) as listening:
        assert [sock.family for sock in listening.sockets] == [socket.AF_INET]
        assert listening.where == f"http://127.0.0.1:{listening.port}"
    with pytest.raises(ConfigError, match="Cannot listen on ::1 port 0"):
        listener.listen("::1", 0)


@needs_ipv6
def test_a_name_is_all_of_its_addresses_that_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::7", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with listener.listen("box.test", 0) as listening:
        hosts = [sock.getsockname()[0] for sock in listening.sockets]
        assert hosts == ["127.0.0.1", "::1"]
        assert listening.where == f"http://box.test:{listening.port}"


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="one socket is of one family here")
def test_all_addresses_of_ipv6_are_those_of_ipv4_as_well() -> None:
    with listener.listen("::", 0) as listening:
        assert accepts(("127.0.0.1", listening.port))
        assert accepts(("::1", listening.port))
        assert not listening.is_local


@needs_ipv6
def test_an_address_may_stand_in_the_brackets_of_a_url() -> None:
    with listener.listen("[::1]", 0) as listening:
        assert listening.where == f"http://[::1]:{listening.port}"


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host", "host.invalid", "a" * 300, "a..b"])
def test_a_host_that_is_not_ours_is_a_mistake_in_the_configuration(host: str) -> None:
    with pytest.raises(ConfigError, match="Cannot listen on"):
        listener.listen(host, 0)


def test_the_url_of_a_listener_on_all_addresses_is_one_that_a_browser_can_open() -> None:
    with listener.listen("0.0.0.0", 0) as listening:
        assert listening.where.startswith("http://127.0.0.1:")


def test_a_socket_that_was_opened_for_us_is_listened_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
        with listener.inherit(socket.dup(opened.fileno())) as listening:
            assert listening.where == f"http://127.0.0.1:{port}"
            assert listening.is_local
            assert accepts(("127.0.0.1", port))


def test_a_descriptor_on_which_nobody_can_listen_is_one_line() -> None:
    with (
        Path(__file__).open("rb") as file,
        socket.socket() as unbound,
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as connection,
    ):
        for descriptor, reason in [
            (file.fileno(), "is no socket"),
            (unbound.fileno(), "bound to no address"),
            (datagrams.fileno(), "not a stream socket"),
            (connection.fileno(), "is a connection"),
            (1 << 20, "is no socket"),
        ]:
            with pytest.raises(ConfigError, match=reason) as refusal:
                listener.inherit(descriptor)
            assert "\n" not in str(refusal.value)
        assert connection.fileno() > 0  # still open
