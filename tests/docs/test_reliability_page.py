"""Every test that the pages about reliability and evidence name is there."""

import ast
import re

import pytest

from tests.docs.pages import DOCS, ROOT

NAMED = re.compile(r"`([a-z0-9_/]+\.py)::(\w+)`")


@pytest.mark.parametrize(
    ("page", "least"), [("reliability.md", 20), ("evidence.md", 9)]
)
def test_every_test_that_is_named_exists(page: str, least: int) -> None:
    named = NAMED.findall((DOCS / page).read_text("utf-8"))
    assert len(named) > least
    missing = [f"{path}::{name}" for path, name in named if name not in functions(path)]
    assert missing == []


def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text("utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
