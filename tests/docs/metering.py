"""The reasons of verdicts and held bills, with the tests that show them."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.domain.reasons import REASONS, About
from tests.docs.pages import DOCS, ROOT

PAGE: Final = DOCS / "metering.md"
TESTS: Final = ROOT / "tests"
_FOLDERS: Final = ("unit", "property", "integration")
_HEADS: Final = {
    About.ENERGY: "the energy",
    About.SIGNATURE: "signed records",
    About.BILL: "the bill",
}
EMITTERS: Final = (
    "gateway/domain/verdict.py",
    "gateway/domain/session.py",
    "gateway/domain/neighbours.py",
    "gateway/store/append.py",
    "gateway/store/folds.py",
    "gateway/store/matching.py",
)
"""Where words of the energy come from."""


def table() -> str:
    """Every reason: what it does to the verdict, what it means, which test shows it."""
    shown = shown_by()
    lines = ["| reason | about | verdict | meaning | test |", "|---|---|---|---|---|"]
    for word, reason in REASONS.items():
        verdict = reason.verdict.value
        if verdict == "ok":
            verdict = "as without, held" if reason.holds else "as without"
        test = f"`{shown[word]}`" if word in shown else "none"
        cells = (f"`{word}`", _HEADS[reason.about], verdict, reason.text, test)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def shown_by() -> dict[str, str]:
    """The first test that names each word, by the order of the folders."""
    found: dict[str, str] = {}
    for folder in _FOLDERS:
        for path in sorted((TESTS / folder).rglob("test_*.py")):
            for name, words in _tests(path):
                for word in words & REASONS.keys() - found.keys():
                    found[word] = f"{path.relative_to(TESTS)}::{name}"
    return found


def emitted() -> set[str]:
    """Every word that judging a session can note, as written in the code."""
    found: set[str] = set()
    for name in EMITTERS:
        tree = ast.parse((ROOT / name).read_text("utf-8"))
        for node in ast.walk(tree):
            called = getattr(node, "func", None)
            method = getattr(called, "attr", getattr(called, "id", ""))
            if method in {"hold", "add_words", "remember"}:
                found |= _texts(node)
            elif isinstance(node, ast.FunctionDef) and node.name.startswith("_why"):
                returned = (
                    one for one in ast.walk(node) if isinstance(one, ast.Return)
                )
                found |= {text for one in returned for text in _texts(one)}
    return found


def _tests(path: Path) -> Iterator[tuple[str, set[str]]]:
    """The tests of a file, each with the texts in it and in the tables it names."""
    tree = ast.parse(path.read_text("utf-8"))
    tables = {
        target.id: _texts(node)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("test_"):
            names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
            named = (tables[name] for name in sorted(names & tables.keys()))
            yield node.name, _texts(node).union(*named)


def _texts(node: ast.AST) -> set[str]:
    return {
        one.value
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }
