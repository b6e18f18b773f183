"""``python -m ledger escrow terms|lock|collect|claim``: paying sessions in a token."""

from __future__ import annotations

import argparse
import json
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
    from ledger.address_book import AddressBook

WORK: Final = ".escrow"
HOUR_S: Final = 3_600


def add_commands(commands: Parsers) -> None:
    """Add the commands to the parser of ``python -m ledger``."""
    escrow = commands.add_parser(
        "escrow", help="lock, collect and claim drivers' deposits (an option)"
    )
    ways: Parsers = escrow.add_subparsers(dest="way", required=True)

    terms = ways.add_parser("terms", help="print what a driver signs for a session")
    add_book(terms)
    terms.add_argument("--database", type=Path, required=True, metavar="FILE")
    terms.add_argument("--session", required=True, metavar="ID")
    terms.add_argument("--user", required=True, metavar="ADDRESS")
    terms.add_argument("--max-amount", type=int, required=True, metavar="UNITS")
    terms.add_argument("--hours", type=float, default=24.0, help="default: 24")
    terms.set_defaults(run=guarded(_terms))

    lock = ways.add_parser("lock", help="send what a driver signed")
    add_chain(lock)
    add_signer(lock, "--key")
    add_book(lock)
    lock.add_argument("terms", type=Path, help="what `escrow terms` printed")
    lock.add_argument("--signature", required=True, metavar="HEX")
    lock.set_defaults(run=guarded(_lock))

    collect = ways.add_parser("collect", help="pay a settled session out of its lock")
    add_chain(collect)
    add_signer(collect, "--key")
    add_book(collect)
    collect.add_argument("receipt", type=Path)
    collect.add_argument("--user", required=True, metavar="ADDRESS")
    collect.set_defaults(run=guarded(_collect))

    claim = ways.add_parser("claim", help="fetch what the operator was paid")
    add_chain(claim)
    add_signer(claim, "--key")
    add_book(claim)
    claim.add_argument("--to", metavar="ADDRESS", help="default: the key's address")
    claim.set_defaults(run=guarded(_claim))


def _book(arguments: argparse.Namespace) -> tuple[AddressBook, str, str]:
    """Return the address file, where the escrow is, and who is paid."""
    from ledger.address_book import read_book  # noqa: PLC0415 - --help is instant

    book = read_book(arguments.contracts)
    if "Escrow" not in book.contracts or "payee" not in book.roles:
        raise OperationFailedError(
            f"{arguments.contracts} names no Escrow: wattproof ledger deploy --escrow"
        )
    return book, book.contracts["Escrow"].address, book.roles["payee"]


def _terms(arguments: argparse.Namespace) -> None:
    from ledger.escrow import LOCK_MAX_S, Terms, session_key_of  # noqa: PLC0415 - see `_book`
    from ledger.keys import read_address  # noqa: PLC0415 - see `_book`

    book, escrow, payee = _book(arguments)
    if not 0 < arguments.hours * HOUR_S <= LOCK_MAX_S or arguments.max_amount <= 0:
        raise OperationFailedError("--hours are 0 to 168, --max-amount above 0")
    terms = Terms(
        session_key=session_key_of(arguments.database, arguments.session),
        user=read_address(arguments.user, "--user"),
        payee=payee,
        max_amount=arguments.max_amount,
        expiry=int(SystemClock().now().timestamp() + arguments.hours * HOUR_S),
    )
    print_line(json.dumps(terms.typed_data(book.chain.chain_id, escrow)))


def _lock(arguments: argparse.Namespace) -> None:
    from ledger.escrow import lock, read_terms  # noqa: PLC0415 - see `_book`

    _, escrow, payee = _book(arguments)
    try:
        terms = read_terms(json.loads(arguments.terms.read_text(encoding="utf-8")))
        signature = bytes.fromhex(arguments.signature.removeprefix("0x"))
    except (OSError, ValueError) as error:
        raise OperationFailedError(f"{arguments.terms}: {error}") from None
    if terms.payee.lower() != payee:
        raise OperationFailedError(f"the terms pay {terms.payee}, not {payee}")
    with open_operation(arguments, arguments.contracts, "sender", WORK) as operation:
        lock(operation, escrow, terms, signature)
    say(f"locked: {terms.max_amount} of {terms.user}")


def _collect(arguments: argparse.Namespace) -> None:
    from ledger.escrow import claimable, collect, settled_row  # noqa: PLC0415 - see `_book`
    from ledger.keys import read_address  # noqa: PLC0415 - see `_book`
    from ledger.receipt_parsing import MAX_BUNDLE_BYTES, parse_receipt  # noqa: PLC0415 - see `_book`
    from ledger.strict_json import read_file  # noqa: PLC0415 - see `_book`

    _, escrow, payee = _book(arguments)
    user = read_address(arguments.user, "--user")
    receipt = parse_receipt(read_file(arguments.receipt, MAX_BUNDLE_BYTES))
    with open_operation(arguments, arguments.contracts, "sender", WORK) as operation:
        row = settled_row(receipt, operation.chain)
        collect(operation, escrow, row, user, payee)
        print_line(f"claimable {claimable(operation.chain, escrow, payee)}")


def _claim(arguments: argparse.Namespace) -> None:
    from ledger.escrow import claim, claimable  # noqa: PLC0415 - see `_book`
    from ledger.keys import read_address  # noqa: PLC0415 - see `_book`

    _, escrow, payee = _book(arguments)
    with open_chain(arguments) as chain:
        amount = claimable(chain, escrow, payee)
    with open_operation(arguments, arguments.contracts, "payee", WORK) as operation:
        if operation.admin.address != payee:
            raise OperationFailedError(f"only {payee} can claim")
        to = payee if arguments.to is None else read_address(arguments.to, "--to")
        claim(operation, escrow, to)
    print_line(f"claimed {amount}")
