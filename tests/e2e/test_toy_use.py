"""A use is one folder and one line: "dice" is added to a copy of the sources, and is all there.

It has a namespace that only who may manage reads, a route, a setting, retention, a line in the
log, and an ending of its own after a crash; on the page, one folder and one line are a view.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import ROOT, needs, visitor
from tests.e2e.harness import EVENTS, Server, Viewer, fetch, get, wait_for

TOY = Path(__file__).with_name("toy_use")
TOKEN = "a-token-of-the-operator"
BEARER = ("Authorization", f"Bearer {TOKEN}")
ANY_PAGE = {"TAILRACE_CORS_ORIGINS": "*"}
ELSEWHERE = ("Origin", "https://elsewhere.example")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, with one folder and one line more."""
    copy = tmp_path_factory.mktemp("house")
    hidden = shutil.ignore_patterns("__pycache__", "dist")
    shutil.copytree(ROOT / "src", copy / "src", ignore=hidden)
    room = copy / "src/tailrace/dice"
    room.mkdir()
    shutil.copy(TOY / "dice/use.py.txt", room / "use.py")
    (room / "__init__.py").touch()
    add_line(copy / "src/tailrace/server/uses.py", "    CHAT,\n", "    DICE,\n")
    add_line(
        copy / "src/tailrace/server/uses.py",
        "from tailrace.contracts import Namespace\n",
        "from tailrace.dice.use import DICE\n",
    )
    return copy


def add_line(file: Path, after: str, line: str) -> None:
    text = file.read_text()
    assert text.count(after) == 1
    file.write_text(text.replace(after, after + line))


@contextmanager
def serving(house: Path, data: Path, *flags: str, **env: str) -> Iterator[Server]:
    # Nobody asks an upstream here; it only has to be named.
    server = Server(
        "--upstream", "http://127.0.0.1:9/v1", "--data", str(data), *flags,
        env={"PYTHONPATH": str(house / "src"), **env},
    )  # fmt: skip
    try:
        yield server
    finally:
        if server._process.returncode is None:
            server.kill()


def throw(server: Server, *headers: tuple[str, str]) -> str:
    """The name of a new stream of dice."""
    with Viewer(server, "POST", "/dice", headers, b"-").head() as viewer:
        assert viewer.status == 201
        name = json.loads(viewer.rest().data)["name"]
    assert isinstance(name, str)
    return name


def status(server: Server, method: str, target: str, *headers: tuple[str, str]) -> int:
    with Viewer(server, method, target, headers).head() as viewer:
        return viewer.status


def test_it_has_a_route_a_setting_and_a_place_in_what_the_server_says(
    house: Path, tmp_path: Path
) -> None:
    with serving(house, tmp_path, "--dice-sides", "2") as server:
        name = throw(server)
        numbers = fetch(server, f"/streams/{name}").data.split()
        assert len(numbers) == 3
        assert set(numbers) <= {b"1", b"2"}
        wait_for(lambda: "dice" in server.output)
        assert status(server, "PUT", "/streams/dice/mine") == 403
        assert status(server, "GET", "/dice") == 405


@pytest.mark.parametrize("token", [TOKEN, ""])
def test_without_credentials_it_cannot_be_read_in_any_way(
    house: Path, tmp_path: Path, token: str
) -> None:
    env = {**ANY_PAGE, **({"TAILRACE_TOKEN": token} if token else {})}
    shown = (BEARER,) if token else ()
    lacking = () if token else (ELSEWHERE,)
    with serving(house, tmp_path, **env) as server:
        name = throw(server, *shown)
        chat = f"chat/{name.removeprefix('dice/')}"
        spelled = [name, name.replace("d", "%64", 1)]
        targets = [f"{root}{each}" for root in ("/streams/", "/v1/stream/") for each in spelled]
        queries = ["", "?offset=-1&live=sse", "?offset=-1&live=long-poll", "?view=text"]
        refused = {401, 403} if token else {403}
        for target in targets:
            for query in queries:
                assert status(server, "GET", target + query, *lacking) in refused
                assert status(server, "GET", target + query, *lacking, EVENTS) in refused
            assert status(server, "HEAD", target, *lacking) in refused
            assert status(server, "GET", target, *lacking, ELSEWHERE) in refused
            assert status(server, "GET", target, *shown) == 200
        assert status(server, "GET", "/streams?prefix=dice/", *lacking) in refused
        # A chat is read by whoever has its link; this one is not there.
        assert status(server, "GET", f"/streams/{chat}", *lacking) == 404
        fork = ("Stream-Forked-From", f"/streams/{name}")
        assert status(server, "PUT", "/streams/open-to-all", *shown, fork) == 403


def test_its_streams_end_in_its_own_words_after_a_crash_and_go_when_it_says(
    house: Path, tmp_path: Path
) -> None:
    with serving(house, tmp_path) as server:
        name = throw(server)
        server.kill()
    with serving(house, tmp_path) as server:
        with get(server, f"/streams/{name}?view=sse") as viewer:
            assert b"The hand was withdrawn." in viewer.rest().data
        server.terminate()
    with serving(house, tmp_path, "--dice-kept", "1ms") as server:
        wait_for(lambda: status(server, "GET", f"/streams/{name}") == 404)


def test_its_endings_are_lines_of_the_log(house: Path, tmp_path: Path) -> None:
    with serving(house, tmp_path) as server:
        name = throw(server)
        close = ("Stream-Closed", "true")
        assert status(server, "POST", f"/streams/{name}", close) == 204
        wait_for(lambda: "dice cancelled throws=" in server.output)


def test_two_uses_with_one_setting_are_refused(house: Path, tmp_path: Path) -> None:
    copy = tmp_path / "src"
    shutil.copytree(house / "src", copy)
    text = (copy / "tailrace/dice/use.py").read_text()
    (copy / "tailrace/dice/use.py").write_text(text.replace("dice_sides: int", "max_body: int"))
    with pytest.raises(AssertionError, match="max_body"):
        Server("--help", env={"PYTHONPATH": str(copy)})


def test_a_view_of_the_page_is_one_folder_and_one_line(
    house: Path, tmp_path: Path, browser: Browser
) -> None:
    needs()
    modules = ROOT / "page/node_modules"
    npx = shutil.which("npx")
    if npx is None or not modules.is_dir():
        pytest.skip("the page cannot be built: no npm, or no page/node_modules")
    page = house / "page"
    shutil.copytree(ROOT / "page", page, ignore=shutil.ignore_patterns("node_modules"))
    (page / "node_modules").symlink_to(modules)
    (page / "src/views/dice").mkdir()
    shutil.copy(TOY / "page/DiceView.tsx.txt", page / "src/views/dice/DiceView.tsx")
    add_line(
        page / "src/views/index.ts",
        "export const VIEWS: readonly View[] = [\n",
        '  { name: "dice", title: () => "Dice", icon: "streams", listed: true,'
        ' load: () => import("./dice/DiceView"), opens: () => undefined },\n',
    )
    subprocess.run([npx, "vite", "build"], cwd=page, check=True, capture_output=True)
    with serving(house, tmp_path) as server:
        name = throw(server)
        with visitor(browser, server.url) as person:
            tab = person.open("/page/dice")
            expect(tab.locator("nav").get_by_text("Dice")).to_be_visible()
            expect(tab.locator(".dice li")).to_have_text(name)
