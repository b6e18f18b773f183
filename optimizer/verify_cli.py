"""``python -m optimizer verify FILE``: prints the checks of a plan or a row of one."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

from optimizer.document import ProblemError
from optimizer.verify import Report, verify_file

EXIT_BAD_INPUT: Final = 2
_MAX_LINE: Final = 400


def main(
    arguments: Sequence[str],
    *,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Verify one file and return the exit code.

    Returns:
        0 if nothing is false, 1 if something is (with ``--strict`` also if something
        claimed could not be checked), 2 if the file is no plan.
    """
    parser = argparse.ArgumentParser(
        prog="wattproof verify", description="Verify a plan or one session's row of it."
    )
    parser.add_argument("file", type=Path, help="JSON file")
    parser.add_argument(
        "--strict", action="store_true", help="fail unless everything is true"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    given = parser.parse_args(arguments)
    try:
        report = verify_file(given.file)
    except ProblemError as exc:
        if given.json:
            print(json.dumps({"error": str(exc)}), file=out or sys.stdout)
        else:
            print(_plain(f"error: {exc}"), file=err or sys.stderr)
        return EXIT_BAD_INPUT
    if given.json:
        print(json.dumps(report.to_json(), indent=2), file=out or sys.stdout)
    else:
        for line in render(report):
            print(line, file=out or sys.stdout)
    return report.exit_code(strict=given.strict)


def render(report: Report) -> list[str]:
    """Return the lines that show a report: one per check, the verdict last."""
    width = max(len(check.name) for check in report.checks)
    lines = [
        f"{check.name:<{width}}  {check.verdict.value:<14}  {check.reason}"
        for check in report.checks
    ]
    return [_plain(line) for line in (*lines, f"verdict: {report.verdict.value}")]


def _plain(text: str) -> str:
    """Keep text from a file from steering the terminal."""
    shown = "".join(char if char.isprintable() else "?" for char in text)
    return shown if len(shown) <= _MAX_LINE else shown[:_MAX_LINE] + "..."
