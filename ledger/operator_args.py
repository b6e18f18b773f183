"""What the operator's commands share: their arguments, a chain, a key, how they end."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from ledger.clock import SystemClock
from ledger.errors import LedgerError, OperationFailedError

if TYPE_CHECKING:
    from ledger.chain import JsonRpcChain
    from ledger.embedded import EmbeddedChain
    from ledger.keys import Passphrase
    from ledger.operating import Operation

BOOK: Final = Path("contracts.json")
PATIENCE_S: Final = 3_600.0
GWEI: Final = 10**9
EXIT_FAILED: Final = 1

Parsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  # argparse has no public name for it
AnyChain: TypeAlias = "JsonRpcChain | EmbeddedChain"


def guarded(
    command: Callable[[argparse.Namespace], None],
) -> Callable[[argparse.Namespace], int]:
    """Return the command with its expected errors as one line and an exit code."""

    def run(arguments: argparse.Namespace) -> int:
        try:
            command(arguments)
        except LedgerError as error:
            say(f"error: {error}")
            return EXIT_FAILED
        except KeyboardInterrupt:
            say("interrupted: run the same command again to go on")
            return EXIT_FAILED
        return 0

    return run


def add_chain(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add which chain is worked on."""
    where = parser.add_mutually_exclusive_group(required=required)
    where.add_argument(
        "--rpc", metavar="URL", help="JSON-RPC endpoint, or env:NAME of a variable"
    )
    where.add_argument(
        "--chain",
        type=Path,
        metavar="PATH",
        help="file of an embedded chain, while its gateway is stopped",
    )
    parser.add_argument("--chain-id", type=int, help="the chain that must be there")
    parser.add_argument(
        "--confirmations",
        type=int,
        metavar="N",
        help="blocks on top that make a block final; default: the node says",
    )


def add_signer(
    parser: argparse.ArgumentParser,
    flag: str = "--admin-key",
    *,
    required: bool = True,
) -> None:
    """Add the key that signs, and how patient the command is."""
    parser.add_argument(
        flag,
        required=required,
        dest="signing_key",
        metavar="KEY",
        help="a file (hexadecimal or keystore), env:NAME or remote:0xADDRESS",
    )
    parser.add_argument("--passphrase-file", type=Path, help="opens a keystore")
    parser.add_argument("--passphrase-env", metavar="NAME", help="variable with it")
    parser.add_argument("--signer-url", metavar="URL", help="Web3Signer of remote keys")
    parser.add_argument(
        "--fee-cap-gwei", type=int, default=500, help="per gas; default: 500"
    )
    parser.add_argument(
        "--patience-s",
        type=float,
        default=PATIENCE_S,
        help=f"end after this long without progress; default: {PATIENCE_S:g}",
    )


def add_book(parser: argparse.ArgumentParser) -> None:
    """Add the address file."""
    parser.add_argument(
        "--contracts", type=Path, default=BOOK, metavar="FILE", help=f"default: {BOOK}"
    )


@contextmanager
def open_operation(
    arguments: argparse.Namespace, book: Path, role: str = "admin", work: str = ".work"
) -> Iterator[Operation]:
    """Open chain, key and work file of a command.

    Args:
        arguments: As parsed; see `add_chain` and `add_signer`.
        book: The address file.
        role: Whose key it is.
        work: Ending of the work file, beside the address file.
    """
    from ledger.keys import load  # noqa: PLC0415 - --help is instant
    from ledger.operating import begin  # noqa: PLC0415 - --help is instant
    from ledger.runner import RunnerSettings  # noqa: PLC0415 - --help is instant

    signer = load(
        arguments.signing_key,
        passphrase=passphrase(arguments),
        signer_url=arguments.signer_url,
    )
    say(f"{role}: {signer.address}")
    with (
        open_chain(arguments) as chain,
        begin(
            chain=chain,
            admin=signer,
            work=book.with_name(book.name + work),
            clock=SystemClock(),
            say=say,
            patience_s=arguments.patience_s,
            settings=RunnerSettings(fee_cap_wei=arguments.fee_cap_gwei * GWEI),
        ) as operation,
    ):
        yield operation


@contextmanager
def open_chain(arguments: argparse.Namespace) -> Iterator[AnyChain]:
    """Open the chain that the arguments name.

    Raises:
        OperationFailedError: There is no such file, or the URL is not to be had.
    """
    if arguments.chain is not None:
        from ledger.embedded import EmbeddedChain  # noqa: PLC0415 - loads the EVM

        if not arguments.chain.is_file():
            raise OperationFailedError(f"{arguments.chain}: no such file")
        chain: AnyChain = EmbeddedChain.create_or_open(
            arguments.chain, clock=SystemClock(), funded=[]
        )
    else:
        from ledger.chain import JsonRpcChain  # noqa: PLC0415 - loads web3

        chain = JsonRpcChain(
            _url(arguments.rpc),
            chain_id=arguments.chain_id,
            confirmations=arguments.confirmations,
        )
    try:
        yield chain
    finally:
        chain.close()


def _url(given: str) -> str:
    """Return the URL; one that holds a key is better kept out of the list of processes.

    Raises:
        OperationFailedError: The variable is not set.
    """
    if not given.startswith("env:"):
        return given
    found = os.environ.get(given.removeprefix("env:"))
    if found is None:
        raise OperationFailedError(f"the environment variable {given[4:]} is not set")
    return found


def passphrase(arguments: argparse.Namespace) -> Passphrase:
    """Return where the passphrase of a keystore is."""
    from ledger.keys import Passphrase  # noqa: PLC0415 - --help is instant

    return Passphrase(path=arguments.passphrase_file, variable=arguments.passphrase_env)


def say(line: str) -> None:
    """Progress, beside the results on stdout."""
    shown = "".join(char if char.isprintable() else "?" for char in line)
    print(shown, file=sys.stderr, flush=True)  # noqa: T201  # command line


def print_line(line: str) -> None:
    """Print a result."""
    print(line)  # noqa: T201  # command line
