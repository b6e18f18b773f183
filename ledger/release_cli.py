"""``python -m ledger release algorithm``: build the optimizer, name it on the chain.

Without ``--publish`` nothing is sent: what would be is shown. Exit codes: 0 done or
done before, 1 it could not be done, 2 bad usage.
"""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ledger.clock import SystemClock
from ledger.errors import OperationFailedError
from ledger.operator_args import (
    Parsers,
    add_book,
    add_chain,
    add_signer,
    guarded,
    open_chain,
    open_operation,
    print_line,
    say,
)

if TYPE_CHECKING:
    from ledger.release import PreparedRelease
    from ledger.settle import AlgorithmRelease

DIST: Final = Path("dist")
_ABOUT: Final = """\
Builds the wheel of the optimizer, twice in different places, and hashes wheel, source
and environment (requirements.lock). Shows what AlgorithmRegistry would be told, and,
with a chain, what it has. With --publish it is told, once: an entry never changes, and
to publish the same again does nothing.
"""


def add_commands(commands: Parsers) -> None:
    """Add ``release``."""
    release = commands.add_parser("release", help="publish what a release is by hashes")
    kinds = release.add_subparsers(dest="what", required=True)
    algorithm = kinds.add_parser(
        "algorithm",
        help="the optimizer, in AlgorithmRegistry",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    algorithm.add_argument(
        "--out", type=Path, default=DIST, help=f"folder of the wheel; default: {DIST}"
    )
    algorithm.add_argument(
        "--uri", default="", help="where the wheel can be had; kept on the chain"
    )
    algorithm.add_argument(
        "--active-from",
        type=_instant,
        metavar="TIME",
        help="from when plans may name it, with a time zone; default: now",
    )
    what = algorithm.add_mutually_exclusive_group()
    what.add_argument("--publish", action="store_true", help="send it")
    what.add_argument(
        "--dry-run", action="store_true", help="send nothing (as without --publish)"
    )
    add_chain(algorithm, required=False)
    add_signer(algorithm, "--publisher-key", required=False)
    add_book(algorithm)
    algorithm.set_defaults(run=guarded(_algorithm))


def _algorithm(arguments: argparse.Namespace) -> None:
    from ledger.release import prepare_release  # noqa: PLC0415 - --help is instant

    prepared = prepare_release(arguments.out)
    active_from = arguments.active_from or SystemClock().now().replace(microsecond=0)
    entry = prepared.entry(active_from, arguments.uri)
    shown = prepared.to_json() | {
        "active_from": entry.active_from.isoformat(),
        "uri": entry.uri,
    }
    has_chain = arguments.rpc is not None or arguments.chain is not None
    if arguments.publish and not (has_chain and arguments.signing_key):
        raise OperationFailedError(
            "--publish needs --rpc or --chain, and --publisher-key"
        )
    if has_chain:
        shown["published"] = _told(arguments, prepared, entry)
    print_line(json.dumps(shown, indent=2))


def _told(
    arguments: argparse.Namespace, prepared: PreparedRelease, entry: AlgorithmRelease
) -> bool:
    """Return whether the chain has it, in the end."""
    from ledger.address_book import read_book  # noqa: PLC0415 - see `_algorithm`
    from ledger.release import differences, is_published  # noqa: PLC0415 - see above
    from ledger.release_publish import publish, registered  # noqa: PLC0415 - see above

    book = read_book(arguments.contracts)
    with open_chain(arguments) as chain:
        found = registered(chain, book, prepared.algorithm)
    if is_published(prepared, found):
        assert found is not None, "it is published"
        say(f"{prepared.algorithm} is published already, with this wheel")
        for name in differences(prepared, found):
            say(f"note: the {name} was another when it was published")
        return True
    if not arguments.publish:
        say("nothing is sent without --publish")
        return False
    if prepared.changed:
        raise OperationFailedError(
            f"not as committed: {', '.join(prepared.changed[:5])}; nobody could build"
            " this wheel again"
        )
    with open_operation(
        arguments, arguments.contracts, "publisher", ".release"
    ) as operation:
        publish(operation, book, entry)
    say(f"published: {prepared.algorithm}")
    return True


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a time: {text!r}") from None
    if found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"without a time zone: {text!r}")
    return found
