"""The command ``verify``: its arguments, which verifier, how the report is shown."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Final

from ledger.cabinet_proof import FORMAT as CABINET
from ledger.errors import BundleError
from ledger.heads import KnownHeads, read_heads, read_since
from ledger.meter_key import read_key_argument
from ledger.published import read_contracts
from ledger.receipt_parsing import MAX_BUNDLE_BYTES
from ledger.strict_json import parse, read_file
from ledger.verdicts import Verdict, VerificationReport
from ledger.verify import verify
from ledger.verify_cabinet import verify_cabinet
from ledger.verify_plan import PlanTrust, verify_plan

MAX_LINE: Final = 400
MAX_WHEEL_BYTES: Final = 2**26
_ABOUT: Final = """\
Checks a receipt, a plan, one session's row of a plan or a cabinet's history; one check
per line, each with a verdict:

  true            checked, and so
  self-witnessed  so, according to a chain file that the operator alone keeps
  unchecked       could not be checked now: what is missing is said
  false           checked, and not so

Exit code 0: nothing is false (with --strict: everything is true); 1: something is
false; 2: not such a file, or bad usage. Nothing is sent anywhere but to --rpc.
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``verify``."""
    command = commands.add_parser(
        "verify",
        help="check a receipt, a plan or a history",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", type=Path, help="JSON file")
    source = command.add_mutually_exclusive_group()
    source.add_argument("--rpc", metavar="URL", help="JSON-RPC endpoint to ask")
    source.add_argument(
        "--chain", metavar="PATH", type=Path, help="file of an embedded chain to ask"
    )
    command.add_argument(
        "--contracts",
        metavar="FILE",
        type=Path,
        help="addresses that the operator publishes; the file must name these",
    )
    command.add_argument(
        "--heads",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="heads you kept or others cosigned, and proofs; may be repeated",
    )
    command.add_argument(
        "--since",
        metavar="SIZE:ROOT",
        action="append",
        default=[],
        help="a head you kept, that the log must continue; may be repeated",
    )
    command.add_argument(
        "--wheel",
        metavar="FILE",
        type=Path,
        help="plans: the optimizer's wheel, that the published algorithm must be",
    )
    command.add_argument(
        "--meter-key",
        metavar="KEY",
        help="receipts: key as printed on the meter: file, hexadecimal or base64",
    )
    command.add_argument(
        "--strict", action="store_true", help="anything less than true fails"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    try:
        report = _verify(given)
    except BundleError as error:
        if given.json:
            _print(json.dumps({"error": str(error)}))
        else:
            print(_plain(f"error: {error}"), file=sys.stderr)  # noqa: T201  # command line
        return 2
    if given.json:
        _print(json.dumps(report.to_json(), indent=2))
    else:
        for line in render(report):
            _print(line)
    return report.exit_code(strict=given.strict)


def _verify(given: argparse.Namespace) -> VerificationReport:
    if given.chain is not None and not given.chain.is_file():
        raise BundleError(f"there is no chain file {given.chain}")
    data = read_file(given.file, MAX_BUNDLE_BYTES)
    document = parse(data, "a receipt, a plan or a history", MAX_BUNDLE_BYTES)
    form = str(document.get("format"))
    is_plan, is_cabinet = form.startswith("wattproof-plan"), form == CABINET
    unfit: tuple[str, ...] = ("--meter-key",) if is_plan else ("--wheel",)
    if is_cabinet:
        unfit = ("--meter-key", "--wheel", "--contracts", "--rpc", "--chain")
    for option in unfit:
        if vars(given)[option.removeprefix("--").replace("-", "_")] is not None:
            raise BundleError(f"{option} says nothing of such a file")
    if is_cabinet:
        return verify_cabinet(document, _known_heads(given))
    pinned = None if given.contracts is None else read_contracts(given.contracts)
    if is_plan:
        wheel = None if given.wheel is None else read_file(given.wheel, MAX_WHEEL_BYTES)
        trust = PlanTrust(
            rpc_url=given.rpc,
            chain_path=given.chain,
            heads=_known_heads(given),
            contracts=pinned,
            wheel_sha256=None if wheel is None else hashlib.sha256(wheel).digest(),
        )
        return verify_plan(document, trust)
    key = given.meter_key
    return verify(
        data,
        rpc_url=given.rpc,
        chain_path=given.chain,
        meter_key=None if key is None else read_key_argument(key),
        heads=_known_heads(given),
        contracts=pinned,
    )


def _known_heads(given: argparse.Namespace) -> KnownHeads | None:
    found = [read_heads(path) for path in given.heads]
    found += [read_since(text) for text in given.since]
    if not found:
        return None
    known = KnownHeads(heads=())
    for one in found:
        known = known.also(one)
    return known


_LESS: Final = (
    ("not checked, and nothing the file claims", Verdict.UNCHECKED, False),
    ("not checked", Verdict.UNCHECKED, True),
    ("false", Verdict.FALSE, True),
)


def render(report: VerificationReport) -> list[str]:
    """Return the lines that show a report: one per check, the verdict last.

    Before the verdict stand the names of what made it less than true.
    """
    width = max(len(check.name) for check in report.checks)
    lines = [
        f"{check.name:<{width}}  {check.verdict.value:<14}  {check.reason}"
        for check in report.checks
    ]
    for words, verdict, is_claimed in _LESS:
        names = [
            check.name
            for check in report.checks
            if check.verdict is verdict and check.is_claimed is is_claimed
        ]
        if names:
            lines.append(f"{words}: {', '.join(names)}")
    return [_plain(line) for line in (*lines, f"verdict: {report.verdict.value}")]


def _plain(text: str) -> str:
    """Keep text from a file from steering the terminal."""
    shown = "".join(char if char.isprintable() else "?" for char in text)
    return shown if len(shown) <= MAX_LINE else shown[:MAX_LINE] + "..."


def _print(text: str) -> None:
    print(text)  # noqa: T201  # command line
