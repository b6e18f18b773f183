"""``python -m ledger verify receipt.json``: the verifier on the command line.

Exit codes: 0 nothing is false (strict: everything is true), 1 something is false,
2 not a receipt or bad usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ledger.errors import BundleError
from ledger.meter_key import read_key_argument
from ledger.verify import VerificationReport, verify_file

MAX_LINE = 400


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="wattproof")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("verify", help="check a receipt")
    command.add_argument("file", type=Path)
    source = command.add_mutually_exclusive_group()
    source.add_argument("--rpc", metavar="URL", help="JSON-RPC endpoint to ask")
    source.add_argument(
        "--chain", metavar="PATH", type=Path, help="file of an embedded chain to ask"
    )
    command.add_argument(
        "--meter-key",
        metavar="KEY",
        help="key as printed on the meter: a file, or hexadecimal digits, or base64",
    )
    command.add_argument(
        "--strict", action="store_true", help="anything less than true fails"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    try:
        key = arguments.meter_key
        report = verify_file(
            arguments.file,
            rpc_url=arguments.rpc,
            chain_path=arguments.chain,
            meter_key=None if key is None else read_key_argument(key),
        )
    except BundleError as error:
        if arguments.json:
            _print(json.dumps({"error": str(error)}))
        else:
            print(_plain(f"error: {error}"), file=sys.stderr)  # noqa: T201  # command line
        return 2
    if arguments.json:
        _print(json.dumps(report.to_json(), indent=2))
    else:
        for line in render(report):
            _print(line)
    return report.exit_code(strict=arguments.strict)


def render(report: VerificationReport) -> list[str]:
    """Return the lines that show a report: one per check, the verdict last."""
    width = max(len(check.name) for check in report.checks)
    lines = [
        f"{check.name:<{width}}  {check.verdict.value:<14}  {check.reason}"
        for check in report.checks
    ]
    return [_plain(line) for line in (*lines, f"verdict: {report.verdict.value}")]


def _plain(text: str) -> str:
    """Keep text from a receipt from steering the terminal."""
    shown = "".join(char if char.isprintable() else "?" for char in text)
    return shown if len(shown) <= MAX_LINE else shown[:MAX_LINE] + "..."


def _print(text: str) -> None:
    print(text)  # noqa: T201  # command line


if __name__ == "__main__":
    sys.exit(main())
