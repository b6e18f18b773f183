"""The arguments of ``witness``; what they ask for is loaded when it is run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

EVERY_S: Final = 300.0
STALE_S: Final = 3600.0
_ABOUT: Final = """\
Follows a log from its public export and says when it is not one log: every leaf is
hashed anew, every head must go on from the one seen before, what is disclosed of plans
and settlements is checked. One line of JSON for each look.

Exit code with --once: 0 all is well, 1 an alarm, 2 bad usage, or a state of its own
that cannot be used. Without it the program runs until it is stopped.
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``witness``."""
    command = commands.add_parser(
        "witness",
        help="follow a log from its public export",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("source", metavar="URL|FOLDER", help="the public export")
    command.add_argument(
        "--state", type=Path, required=True, metavar="FILE", help="what it remembers"
    )
    asked = command.add_mutually_exclusive_group()
    asked.add_argument("--rpc", metavar="URL", help="node to compare heads with")
    asked.add_argument(
        "--chain", type=Path, metavar="PATH", help="file of an embedded chain instead"
    )
    command.add_argument(
        "--anchor", metavar="ADDRESS", help="the contract, as published elsewhere"
    )
    command.add_argument(
        "--log-key", metavar="KEY", help="the log's key, as published elsewhere"
    )
    command.add_argument(
        "--key", type=Path, metavar="FILE", help="cosign with this key; made if absent"
    )
    command.add_argument(
        "--name", help="name of the key; by default it follows from it"
    )
    command.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="an auditor's token, to see more",
    )
    command.add_argument("--once", action="store_true", help="look once and exit")
    command.add_argument(
        "--every",
        type=float,
        default=EVERY_S,
        metavar="S",
        help="seconds between looks",
    )
    command.add_argument(
        "--stale", type=float, default=STALE_S, metavar="S", help="no news for so long"
    )
    command.add_argument(
        "--forget-faults",
        action="store_true",
        help="go on after records that were wrong: somebody has looked at them",
    )
    command.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    # Imported here: signatures and HTTP are not needed to check a receipt.
    from ledger.witness_run import run  # noqa: PLC0415 - see above

    return run(given)
