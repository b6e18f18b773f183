"""Every test that the page about reliability names is there."""

import ast
import re

from tests.docs.pages import DOCS, ROOT

NAMED = re.compile(r"`([a-z0-9_/]+\.py)::(\w+)`")


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall((DOCS / "reliability.md").read_text("utf-8"))
    assert len(named) > 20
    missing = [f"{path}::{name}" for path, name in named if name not in functions(path)]
    assert missing == []


def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text("utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
