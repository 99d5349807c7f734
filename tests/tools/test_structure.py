"""What is over a limit is named, and what is within it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import structure


def package(root: Path, **modules: str) -> Path:
    folder = root / "house"
    folder.mkdir()
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    return root


def test_a_folder_holds_so_many_modules(tmp_path: Path) -> None:
    most = structure.MODULES_IN_A_FOLDER
    package(tmp_path, __init__="", **{f"m{number}": "" for number in range(most)})
    assert not list(structure.too_many_modules(tmp_path))
    (tmp_path / "house/one_more.py").touch()
    assert list(structure.too_many_modules(tmp_path)) == [
        f"house: {most + 1} modules, at most {most}"
    ]


def test_a_module_has_so_many_lines(tmp_path: Path) -> None:
    most = structure.LINES_IN_A_MODULE
    package(tmp_path, short="x = 1\n" * most, long="x = 1\n" * (most + 1))
    assert list(structure.too_long(tmp_path)) == [
        f"house/long.py: {most + 1} lines, at most {most}"
    ]


def test_a_function_has_so_many_lines_without_its_docstring(tmp_path: Path) -> None:
    most = structure.LINES_IN_A_FUNCTION
    head = 'def {}():\n    """Do it.\n\n    Long.\n    """\n'
    body = "    x = 1\n"
    package(
        tmp_path,
        one=head.format("short") + body * most + head.format("long") + body * (most + 1),
    )
    assert list(structure.too_long(tmp_path)) == [
        f"house/one.py: long: {most + 1} lines, at most {most}"
    ]


def test_a_public_class_name_stands_once(tmp_path: Path) -> None:
    package(tmp_path, one="class A: ...\nclass _P: ...\n", two="class A: ...\nclass _P: ...\n")
    (fault,) = structure.names_twice(tmp_path)
    assert fault == "class A stands in house/one.py, house/two.py; rename all but one"


@pytest.mark.parametrize(
    ("arrows", "circles"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}}, [{"a", "b"}]),
        ({"a": {"b"}, "b": {"a", "c"}, "c": {"d"}, "d": {"c"}}, [{"a", "b"}, {"c", "d"}]),
    ],
)
def test_modules_that_import_each_other_are_found(
    arrows: dict[str, set[str]], circles: list[set[str]]
) -> None:
    found = [set(circle) for circle in structure.strong_components(arrows)]
    assert sorted(found, key=min) == circles


def test_the_house_is_within_its_limits() -> None:
    assert structure.main() == 0
