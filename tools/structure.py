"""Check the limits of the house: ``python -m tools.structure``, a part of ``make check``.

    limit                                     why
    ----------------------------------------  ----------------------------------------------------
    24 modules in a folder                    a reader takes in a list of that length at once
    400 lines in a module                     a module that is longer has two jobs
    40 lines in a function                    it fits on a screen
    a public class name stands once           a reader who searches for it finds one thing
    no circle of imports                      a module can be understood after those it imports

Imports for type checking and imports inside functions count: a reader follows them all the same.
An exception needs its reason in the tables below.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grimp

ROOT: Final = Path(__file__).parents[1] / "src"
PACKAGE: Final = "tailrace"

MODULES_IN_A_FOLDER: Final = 24
LINES_IN_A_MODULE: Final = 400
LINES_IN_A_FUNCTION: Final = 40

SAME_NAME: Final = {
    "Event": "embed's is public API and has no number; the log's own is a tuple for its speed",
}
"""Class names that may stand twice, each with its reason; two at most."""
CIRCLES: Final = (
    # A cursor reads its stream and a stream rings its cursors. mypyc compiles calls between them
    # to plain C calls only where each knows the other's class by name.
    frozenset({"tailrace.log.cursor", "tailrace.log.stream"}),
)


def main() -> int:
    """Print what is over a limit, one line each; return 1 where anything is."""
    faults = [
        *too_many_modules(ROOT),
        *too_long(ROOT),
        *names_twice(ROOT),
        *circles(),
    ]
    for fault in faults:
        print(fault)  # noqa: T201 - it is a command
    return 1 if faults else 0


def _modules(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


def too_many_modules(root: Path) -> Iterator[str]:
    """Yield a line for each folder that holds more modules than it may."""
    counts: defaultdict[Path, int] = defaultdict(int)
    for path in _modules(root):
        if path.name != "__init__.py":
            counts[path.parent] += 1
    for folder, count in counts.items():
        if count > MODULES_IN_A_FOLDER:
            yield f"{folder.relative_to(root)}: {count} modules, at most {MODULES_IN_A_FOLDER}"


def too_long(root: Path) -> Iterator[str]:
    """Yield a line for each module and each function that is longer than it may be."""
    for path in _modules(root):
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        name = path.relative_to(root)
        if lines > LINES_IN_A_MODULE:
            yield f"{name}: {lines} lines, at most {LINES_IN_A_MODULE}"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = _lines_of(node)
                if length > LINES_IN_A_FUNCTION:
                    yield f"{name}: {node.name}: {length} lines, at most {LINES_IN_A_FUNCTION}"


def _lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function's body; neither its signature nor its docstring count."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if not body or node.end_lineno is None:
        return 0
    return node.end_lineno - body[0].lineno + 1


def names_twice(root: Path) -> Iterator[str]:
    """Yield a line for each public class name that stands in several modules."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in _modules(root):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(root)))
    for name, places in found.items():
        if len(places) > 1 and name not in SAME_NAME:
            yield f"class {name} stands in {', '.join(places)}; rename all but one"


def circles() -> Iterator[str]:
    """Yield a line for each set of modules that import each other, directly or not."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=False, cache_dir=None)
    arrows = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    for circle in strong_components(arrows):
        if frozenset(circle) not in CIRCLES:
            yield f"circle of imports: {', '.join(sorted(circle))}"


def strong_components(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Return the sets of two and more nodes that reach one another (Tarjan, 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = lowest[node] = len(number)
        stack.append(node)
        for other in sorted(arrows.get(node, ())):
            if other not in number:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], number[other])
        if lowest[node] == number[node]:
            at = stack.index(node)
            component = stack[at:]
            del stack[at:]
            if len(component) > 1:
                found.append(component)

    for node in sorted(arrows):
        if node not in number:
            visit(node)
    return found


if __name__ == "__main__":
    sys.exit(main())
