"""What tests say they show: the marks in their source, by name and value."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]

Places = dict[str, list[str]]
"""What is shown, and the tests that show it, as ``path::test``."""


def shown_by(mark: str, folder: Path = TESTS) -> Places:
    """Tests by what ``@pytest.mark.<mark>(...)`` names, in the order of their files."""
    found: Places = {}
    for path in sorted(folder.rglob("test_*.py")):
        text = path.read_text("utf-8")
        if f"pytest.mark.{mark}(" not in text:
            continue
        for test in ast.walk(ast.parse(text)):
            if not isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if not test.name.startswith("test_"):
                continue
            place = f"{path.relative_to(folder)}::{test.name}"
            for value in _values(test, f"pytest.mark.{mark}"):
                found.setdefault(value, []).append(place)
    return found


def as_cell(places: list[str]) -> str:
    """Tests as a cell of a Markdown table."""
    return "<br>".join(f"`{place}`" for place in places)


def _values(test: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> Iterator[str]:
    for mark in test.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == name:
            for argument in mark.args:
                assert isinstance(argument, ast.Constant), "an id is written out"
                yield str(argument.value)
