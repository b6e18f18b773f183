"""``python -m ledger deploy|roles|rotate-key|contracts``: what needs the admin's key.

The gateway never has that key on a chain of others. Each command may be killed at any
point and run again. Exit codes: 0 done, 1 it could not be done, 2 bad usage.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ledger.errors import (
    AddressBookError,
    ChainNonsenseError,
    KeyLoadError,
    OperationFailedError,
)
from ledger.operator_args import (
    BOOK,
    AnyChain,
    Parsers,
    add_book,
    add_chain,
    add_signer,
    guarded,
    open_chain,
    open_operation,
    passphrase,
    print_line,
    say,
)

if TYPE_CHECKING:
    from ledger.deploying import EscrowTerms

CODE_LENGTH: Final = 3
"""Of an ISO 4217 currency."""
ROLE_NAMES: Final = (
    "anchorer",
    "settler",
    "registrar",
    "publisher",
    "pauser",
    "admin",
)


def add_commands(commands: Parsers) -> None:
    """Add the commands to the parser of ``python -m ledger``."""
    deploy = commands.add_parser(
        "deploy",
        help="deploy the contracts, grant the roles, write the address file",
        description="Deploys what is missing, grants what is missing, and writes the"
        " file that ledger.contracts_file names. Run it again after an interruption,"
        " with the same --out: it goes on where it was. Addresses that are not given"
        " are those of the file, if there is one.",
    )
    add_chain(deploy)
    add_signer(deploy)
    deploy.add_argument(
        "--keys",
        type=Path,
        metavar="FOLDER",
        help="take addresses that are not given from the gateway's keys there"
        " (made if they are missing)",
    )
    for role in ROLE_NAMES[:-1]:
        more = "; default: the admin" if role == "publisher" else ""
        deploy.add_argument(f"--{role}", metavar="ADDRESS", help=f"the {role}{more}")
    deploy.add_argument("--out", type=Path, default=BOOK, help=f"default: {BOOK}")
    deploy.add_argument(
        "--escrow", metavar="TOKEN", help="also the Escrow, for this ERC-20 token"
    )
    deploy.add_argument("--payee", metavar="ADDRESS", help="whom its drivers pay")
    deploy.add_argument("--escrow-currency", default="EUR", help="default: EUR")
    deploy.add_argument(
        "--escrow-units",
        type=int,
        default=10_000,
        metavar="N",
        help="units of the token for a minor unit; default: 10000 (6 decimals)",
    )
    deploy.set_defaults(run=guarded(_deploy))

    roles = commands.add_parser("roles", help="list who has which role, by the chain")
    add_chain(roles)
    add_book(roles)
    roles.add_argument(
        "--address",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="ask about this one, too; may be repeated",
    )
    roles.set_defaults(run=guarded(_roles))

    rotate = commands.add_parser(
        "rotate-key",
        help="give a role to a new key, later take it from the old one",
        description="First --to NEW; then give the gateway the new key and start it"
        " again; then --revoke OLD, which waits until what the old key signed is"
        " final.",
    )
    rotate.add_argument("role", choices=ROLE_NAMES)
    add_chain(rotate)
    add_signer(rotate)
    add_book(rotate)
    which = rotate.add_mutually_exclusive_group(required=True)
    which.add_argument("--to", metavar="ADDRESS", help="grant the role to it, too")
    which.add_argument("--revoke", metavar="ADDRESS", help="take the role from it")
    rotate.add_argument(
        "--database",
        type=Path,
        metavar="FILE",
        help="the gateway's gateway.db: nothing is revoked while it has work of OLD",
    )
    rotate.add_argument(
        "--without-database",
        action="store_true",
        help="ask the node only whether OLD has transactions under way",
    )
    rotate.set_defaults(run=guarded(_rotate))

    contracts = commands.add_parser(
        "contracts",
        help="write the address file from a gateway's database (it deployed itself)",
    )
    contracts.add_argument("--database", type=Path, required=True, metavar="FILE")
    contracts.add_argument("--chain-id", type=int, help="needed if there are several")
    contracts.add_argument("--out", type=Path, default=BOOK, help=f"default: {BOOK}")
    contracts.set_defaults(run=guarded(_contracts))


def _deploy(arguments: argparse.Namespace) -> None:
    from ledger.deploying import deploy  # noqa: PLC0415 - --help is instant
    from ledger.ports import Holders  # noqa: PLC0415 - see above

    addresses = _addresses(arguments)
    with open_operation(arguments, arguments.out) as operation:
        holders = Holders(
            anchorer=addresses["anchorer"],
            settler=addresses["settler"],
            registrar=addresses["registrar"],
            publisher=addresses.get("publisher", operation.admin.address),
            pauser=addresses["pauser"],
        )
        book = deploy(operation, holders, arguments.out, _escrow(arguments))
    for name, one in book.contracts.items():
        print_line(f"{name} {one.address}")
    say(f"written: {arguments.out}; name it in ledger.contracts_file")


def _escrow(arguments: argparse.Namespace) -> EscrowTerms | None:
    from ledger.deploying import EscrowTerms  # noqa: PLC0415 - see `_deploy`
    from ledger.keys import read_address  # noqa: PLC0415 - see `_deploy`

    if arguments.escrow is None:
        return None
    currency, units = arguments.escrow_currency, arguments.escrow_units
    if arguments.payee is None:
        raise OperationFailedError("--escrow needs --payee")
    if not (len(currency) == CODE_LENGTH and currency.isascii() and currency.isupper()):
        raise OperationFailedError(f"--escrow-currency: not ISO 4217: {currency!r}")
    if units <= 0:
        raise OperationFailedError("--escrow-units must be above 0")
    return EscrowTerms(
        token=read_address(arguments.escrow, "--escrow"),
        currency=currency,
        units_per_minor=units,
        payee=read_address(arguments.payee, "--payee"),
    )


def _addresses(arguments: argparse.Namespace) -> dict[str, str]:
    from ledger.address_book import read_book  # noqa: PLC0415 - see `_deploy`
    from ledger.keys import read_address  # noqa: PLC0415 - see `_deploy`
    from ledger.role_keys import load_operational  # noqa: PLC0415 - see above

    known = read_book(arguments.out).roles if arguments.out.exists() else {}
    given = {role: known[role] for role in ROLE_NAMES[:-1] if role in known}
    given |= {
        role: read_address(getattr(arguments, role), f"--{role}")
        for role in ROLE_NAMES[:-1]
        if getattr(arguments, role) is not None
    }
    needed = {"anchorer", "settler", "registrar", "pauser"} - set(given)
    if not needed:
        return given
    if arguments.keys is None:
        raise KeyLoadError(f"--{min(needed)} is not given, nor --keys")
    signers = load_operational(
        arguments.keys,
        references={
            role: f"remote:{given[role]}"
            for role in ("anchorer", "settler", "registrar")
            if role in given
        },
        passphrase=passphrase(arguments),
        signer_url="http://127.0.0.1:9",  # only its address is asked for
        pauser=given.get("pauser"),
    )
    holders = signers.holders()
    found = {role: getattr(holders, role) for role in needed}
    return {**found, **given}


def _roles(arguments: argparse.Namespace) -> None:
    from ledger.address_book import read_book  # noqa: PLC0415 - see `_deploy`
    from ledger.keys import read_address  # noqa: PLC0415 - see `_deploy`
    from ledger.rotation import list_roles  # noqa: PLC0415 - see `_deploy`

    book = read_book(arguments.contracts)
    named: dict[str, str] = {}
    for role, one in book.roles.items():
        named[one] = f"{named[one]}, {role}" if one in named else role
    with open_chain(arguments) as chain:
        asked = {read_address(one, "--address") for one in arguments.address}
        asked |= _ever_granted(chain, book)
        for line in list_roles(chain, book, asked):
            shown = [
                f"{one} ({named[one]})" if one in named else f"{one} (not in the file)"
                for one in line.holders
            ]
            print_line(
                f"{line.contract}.{line.role_name}: {', '.join(shown) or 'nobody'}"
            )


def _rotate(arguments: argparse.Namespace) -> None:
    from ledger import rotation  # noqa: PLC0415 - see `_deploy`
    from ledger.address_book import read_book  # noqa: PLC0415 - see `_deploy`
    from ledger.keys import read_address  # noqa: PLC0415 - see `_deploy`

    book = read_book(arguments.contracts)
    role = arguments.role
    if arguments.to is not None:
        to = read_address(arguments.to, "--to")
        with open_operation(arguments, arguments.contracts) as operation:
            rotation.give(operation, book, role, to).write(arguments.contracts)
        say(
            f"{to} is the {role} now, too. Give the gateway its key, start it again,"
            f" then: rotate-key {role} --revoke {book.roles.get(role, 'OLD')}"
        )
        return
    old = read_address(arguments.revoke, "--revoke")
    if arguments.database is None and not arguments.without_database:
        raise OperationFailedError(
            "--revoke needs --database (or --without-database, if no gateway works"
            " with that key)"
        )
    with open_operation(arguments, arguments.contracts) as operation:

        def in_flight() -> int:
            chain: Any = operation.chain
            key = chain.identity().key
            waiting = 0
            if arguments.chain is None:
                waiting = max(chain.pending_nonce(old) - chain.nonce(old), 0)
            if arguments.database is not None:
                rows = rotation.rows_in_flight(arguments.database, key, old)
                waiting = max(rows, waiting)
            return waiting

        rotation.take_back(operation, book, role, old, in_flight)
    say(f"{old} is no {role} any more")


def _contracts(arguments: argparse.Namespace) -> None:
    from ledger.stored_book import book_of  # noqa: PLC0415 - see `_deploy`

    book = book_of(arguments.database, arguments.chain_id)
    if arguments.out.exists():
        raise AddressBookError(f"{arguments.out}: exists already")
    book.write(arguments.out)
    say(f"written: {arguments.out}; name it in ledger.contracts_file")


def _ever_granted(chain: AnyChain, book: Any) -> set[str]:  # noqa: ANN401 - imported late
    """Return to whom a role was ever granted, as far as the node lists events."""
    from eth_utils.crypto import keccak  # noqa: PLC0415 - see `_deploy`

    from ledger.chain import JsonRpcChain  # noqa: PLC0415 - see `_deploy`

    if not isinstance(chain, JsonRpcChain):
        return set()
    first = min(
        (
            receipt.block_number
            for one in book.contracts.values()
            if (receipt := chain.receipt(one.tx_hash)) is not None
        ),
        default=0,
    )
    addresses = [one.address for one in book.contracts.values()]
    topic = keccak(text="RoleGranted(bytes32,address,address)")
    try:
        found = chain.events(addresses, topic, from_block=first)
    except ChainNonsenseError as error:
        say(f"only known addresses are asked about: {error}")
        return set()
    return {"0x" + event.topics[2][12:].hex() for event in found if event.topics[2:]}
