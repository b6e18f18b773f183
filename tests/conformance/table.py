"""Which test shows which official case; writes that table into the documentation.

A test names its cases: ``@pytest.mark.case("TC_B_01_CSMS")``. ``python -m
tests.conformance.table`` writes the table between the marks in
``docs/conformance.md``; a test holds the two equal, so that neither can drift.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "conformance.md"
CASES = Path(__file__).with_name("cases.toml")
EXEMPT = Path(__file__).with_name("exempt.toml")
BEGIN = "<!-- test cases: written by python -m tests.conformance.table -->"
END = "<!-- end of test cases -->"
BLOCKS = {
    "A": "Security",
    "B": "Provisioning",
    "C": "Authorization",
    "E": "Transactions",
    "F": "Remote control",
    "G": "Availability",
    "J": "Meter values",
    "L": "Firmware management",
    "M": "Certificate management",
    "N": "Diagnostics",
    "P": "Data transfer",
}


def cases() -> dict[str, str]:
    """Every case for a central system, by id, with its name."""
    return {key: str(name) for key, name in _toml(CASES).items()}


def exempt() -> dict[str, str]:
    """Cases that do not apply, with the reason."""
    return {key: str(why) for key, why in _toml(EXEMPT).items()}


def shown_by(folder: Path = ROOT / "tests") -> dict[str, list[str]]:
    """Tests by case, as ``path::test``, from the marks in their source."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for test in ast.walk(tree):
            if not isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if not test.name.startswith("test_"):
                continue
            place = f"{path.relative_to(folder)}::{test.name}"
            for case in _marked(test):
                found.setdefault(case, []).append(place)
    return found


def table() -> str:
    """The table as Markdown, one section per functional block."""
    shown, not_applying = shown_by(), exempt()
    lines: list[str] = []
    block = ""
    for case, name in cases().items():
        letter = case.split("_")[1]
        if letter != block:
            block = letter
            lines += ["", f"### {letter} {BLOCKS[letter]}", ""]
            lines += ["| case | what | shown by |", "|---|---|---|"]
        tests = [f"`{place}`" for place in shown.get(case, [])]
        cell = "<br>".join(tests) or f"does not apply: {not_applying.get(case, '')}"
        lines.append(f"| {case} | {name} | {cell} |")
    return "\n".join(lines).strip() + "\n"


def documented() -> str:
    """The table as the documentation has it now."""
    text = DOCUMENT.read_text("utf-8")
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip() + "\n"


def main() -> int:
    """Write the table into the documentation."""
    text = DOCUMENT.read_text("utf-8")
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table()}\n{after}", "utf-8")
    missing = cases().keys() - shown_by().keys() - exempt().keys()
    sys.stdout.write(f"{len(cases())} cases, {len(missing)} without a test\n")
    return 0


def _marked(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for mark in test.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.case":
            for argument in mark.args:
                assert isinstance(argument, ast.Constant), "an id is written out"
                yield str(argument.value)


def _toml(path: Path) -> dict[str, object]:
    with path.open("rb") as opened:
        return tomllib.load(opened)


if __name__ == "__main__":
    sys.exit(main())
