"""A Unix socket at a path: who may connect, what is replaced and what never is."""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailrace.cli import listener, unix_socket
from tailrace.errors import AddressInUse, ConfigError

if sys.platform == "win32":
    pytest.skip("Unix sockets", allow_module_level=True)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Short enough, however deep the tests' directory is."""
    here = Path.cwd()
    os.chdir(tmp_path)
    yield Path("tailrace.sock")
    os.chdir(here)


@pytest.fixture(autouse=True)
def _short_names(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the path that the tests run below is longer than a socket's may be.
    monkeypatch.setattr(os.path, "abspath", str)


def stale(path: Path) -> None:
    """What a server leaves that was killed."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_its_bits_are_those_of_uds_mode_whatever_the_umask(
    path: Path, mode: int, umask: int
) -> None:
    before = os.umask(umask)
    try:
        with unix_socket.listen(str(path), mode) as listening:
            assert stat.S_IMODE(path.stat().st_mode) == mode
            assert listening.is_local
            assert listening.where == f"unix:{path}"
        assert os.umask(umask) == umask
    finally:
        os.umask(before)


def test_nobody_can_connect_before_the_bits_are_set(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    chmod = Path.chmod

    def watched(self: Path, mode: int) -> None:
        with socket.socket(socket.AF_UNIX) as client:
            tried.append(client.connect_ex(str(path)))
        chmod(self, mode)

    monkeypatch.setattr(Path, "chmod", watched)
    with unix_socket.listen(str(path), 0o600):
        assert len(tried) == 1
        assert tried[0] != 0


def test_it_is_removed_at_the_end(path: Path) -> None:
    with unix_socket.listen(str(path), 0o600):
        assert path.is_socket()
    assert not path.exists()


def test_what_came_in_its_place_is_not_removed_at_the_end(path: Path) -> None:
    with unix_socket.listen(str(path), 0o600):
        path.unlink()
        path.write_text("mine")
    assert path.read_text() == "mine"


def test_a_socket_on_which_nobody_listens_any_more_is_replaced(path: Path) -> None:
    stale(path)
    with unix_socket.listen(str(path), 0o600), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    assert list(Path().iterdir()) == []


def test_a_socket_on_which_somebody_listens_is_left_alone(path: Path) -> None:
    with unix_socket.listen(str(path), 0o600) as first:
        with pytest.raises(AddressInUse, match="--uds"):
            unix_socket.listen(str(path), 0o600)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            first.sockets[0].accept()[0].close()


def test_a_socket_whose_backlog_is_full_is_listened_on(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        waiting = []
        while True:
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            waiting.append(client)
            if client.connect_ex(str(path)):
                break
        with pytest.raises(AddressInUse):
            unix_socket.listen(str(path), 0o600)
        for client in waiting:
            client.close()
    assert path.is_socket()


def test_a_server_that_was_quicker_keeps_its_socket(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one replaces the stale socket between our look at it and our taking it away."""
    stale(path)
    rename = Path.rename
    quicker: list[socket.socket] = []

    def overtaken(self: Path, target: Path) -> Path:
        if not quicker:
            quicker.append(socket.socket(socket.AF_UNIX))
            self.unlink()
            quicker[0].bind(str(path))
            quicker[0].listen()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    with pytest.raises(AddressInUse):
        unix_socket.listen(str(path), 0o600)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    quicker[0].close()
    assert list(Path().iterdir()) == [path]


@pytest.mark.parametrize("kind", ["file", "directory", "link", "datagrams", "pipe"])
def test_what_is_not_such_a_socket_is_never_removed(path: Path, kind: str) -> None:
    other = None
    if kind == "file":
        path.write_text("mine")
    elif kind == "directory":
        path.mkdir()
    elif kind == "link":
        stale(Path("other.sock"))
        path.symlink_to("other.sock")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        other.bind(str(path))
    before = path.lstat()
    with pytest.raises(ConfigError, match="uds") as refusal:
        unix_socket.listen(str(path), 0o600)
    assert "\n" not in str(refusal.value)
    assert os.path.samestat(path.lstat(), before)
    if other is not None:
        other.close()


@pytest.mark.parametrize(
    ("path_given", "reason"),
    [("x" * 200, "too long"), ("no/such/directory.sock", "No such file"), ("/", "not a socket")],
)
def test_a_path_that_cannot_be_had_is_one_line(path: Path, path_given: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        unix_socket.listen(path_given, 0o600)


def test_one_that_was_opened_for_us_is_listened_on_and_stays(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))
        with listener.inherit(socket.dup(opened.fileno())) as listening:
            assert listening.is_unix
            assert listening.where == f"unix:{path}"
    assert path.is_socket()
