"""The verifier: a receipt in, a list of checks with verdicts out.

Offline checks need neither web3 nor an EVM. A chain is asked when one is given: an
RPC endpoint of the verifier's own choice, or the operator's chain file, which proves
nothing to others and is therefore never more than *self-witnessed*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from ledger import receipt_checks as parts
from ledger.check_names import ON_CHAIN, PAYMENT, SIGNED
from ledger.errors import BundleError, RecordError
from ledger.heads import KnownHeads, check_consistency
from ledger.invoice_proofs import has_invoices
from ledger.meter_key import MeterKey
from ledger.published import PublishedContracts, check_published
from ledger.receipt import Receipt
from ledger.receipt_checks import Opened, Read, UnprovenError, WrongError
from ledger.receipt_parsing import MAX_BUNDLE_BYTES, parse_receipt
from ledger.strict_json import read_file
from ledger.verdicts import Check, Verdict, VerificationReport
from ledger.verify_signed import SignedEvidence, check_signed

__all__ = ["Check", "Verdict", "VerificationReport", "verify", "verify_file"]

HOW_TO_ASK: Final = "install wattproof-ledger[chain] to ask one"
NO_RECORDS: Final = "the records do not hold"
T = TypeVar("T")


def verify_file(
    path: Path,
    *,
    rpc_url: str | None = None,
    chain_path: Path | None = None,
    meter_key: MeterKey | None = None,
    heads: KnownHeads | None = None,
    contracts: PublishedContracts | None = None,
) -> VerificationReport:
    """Verify a receipt file.

    Args:
        path: The receipt.
        rpc_url: JSON-RPC endpoint to ask about the chain.
        chain_path: File of an embedded chain to ask instead.
        meter_key: As it is printed on the meter; records must be signed with it.
        heads: Of other times, which the receipt's head must agree with.
        contracts: That the operator publishes, which the receipt must name.

    Raises:
        BundleError: The file cannot be read or is not a receipt, or there is no such
            chain file (exit code 2).
    """
    if chain_path is not None and not chain_path.is_file():
        raise BundleError(f"there is no chain file {chain_path}")
    return verify(
        read_file(path, MAX_BUNDLE_BYTES),
        rpc_url=rpc_url,
        chain_path=chain_path,
        meter_key=meter_key,
        heads=heads,
        contracts=contracts,
    )


def verify(
    data: bytes,
    *,
    rpc_url: str | None = None,
    chain_path: Path | None = None,
    meter_key: MeterKey | None = None,
    heads: KnownHeads | None = None,
    contracts: PublishedContracts | None = None,
) -> VerificationReport:
    """Verify the bytes of a receipt; see `verify_file`.

    Raises:
        BundleError: They are not a receipt, or both chains are given.
    """
    if rpc_url is not None and chain_path is not None:
        raise BundleError("give either an RPC endpoint or a chain file, not both")
    receipt = parse_receipt(data)
    reason = f"a receipt, version {receipt.version}"
    checks = [Check.true("format", reason)]
    records = _judged(checks, "canonical", lambda: _read(receipt))
    opened = None
    if records is None:
        checks.append(Check.not_judged("records", "a record is not canonical"))
    else:
        opened = _judged(checks, "records", lambda: _opened(receipt, records))
    checks.append(_run("commitment", lambda: parts.check_commitment(receipt)))
    checks.append(_run("inclusion", lambda: parts.check_inclusion(receipt)))
    checks += _of_session(receipt, opened)
    checks += _signed_checks(opened, receipt, meter_key)
    checks.append(check_consistency(heads, receipt.head.size, receipt.head.root))
    checks.append(check_published(contracts, receipt.chain))
    checks += _chain_checks(receipt, opened, rpc_url, chain_path, contracts)
    return VerificationReport(checks=tuple(checks))


def _read(receipt: Receipt) -> tuple[str, tuple[Read, ...]]:
    found = parts.read_records(receipt)
    count = "1 record" if len(found) == 1 else f"{len(found)} records"
    return f"{count} in canonical form", found


def _opened(receipt: Receipt, records: Sequence[Read]) -> tuple[str, Opened]:
    found = parts.open_records(receipt, records)
    return "of one session, in order: a start, its readings, a settlement", found


def _judged(
    checks: list[Check], name: str, look: Callable[[], tuple[str, T]]
) -> T | None:
    """Add a check that others rest on; return what it found."""
    try:
        reason, found = look()
    except WrongError as error:
        checks.append(Check.false(name, str(error)))
        return None
    checks.append(Check.true(name, reason))
    return found


def _of_session(receipt: Receipt, opened: Opened | None) -> Iterator[Check]:
    """Check what needs the records, and the bill, which does not."""
    kinds = {leaf.kind for leaf in receipt.leaves}
    of_records: list[tuple[str, Callable[[Receipt, Opened], str] | None]] = [
        ("readings", parts.check_readings),
        ("registers", parts.check_registers),
        ("bill", None),
        ("settlement", parts.check_settlement),
    ]
    if "decision" in kinds:
        of_records.append(("decision", parts.check_decision))
    if "credit" in kinds or receipt.credit_txs:
        of_records.append(("credits", parts.check_credits))
    if has_invoices(receipt):
        of_records.append(("invoice", parts.check_invoice))
    for name, check in of_records:
        if check is None:
            yield _run(name, lambda: parts.check_bill(receipt))
        elif opened is None:
            yield Check.not_judged(name, NO_RECORDS)
        else:
            yield _run(name, partial(check, receipt, opened))


def _run(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check.true(name, check())
    except UnprovenError as error:
        return Check.open(name, str(error))
    except (WrongError, BundleError, RecordError) as error:
        return Check.false(name, str(error))


def _signed_checks(
    opened: Opened | None, receipt: Receipt, meter_key: MeterKey | None
) -> list[Check]:
    """Look at what the meter signed, and say so where it signed nothing."""
    if opened is None:
        is_signed = receipt.version > 1 or meter_key is not None
        return [
            Check.not_judged(name, NO_RECORDS, is_claimed=is_signed) for name in SIGNED
        ]
    evidence = SignedEvidence(
        settlement_index=opened.settlement.index,
        facts=opened.settlement_record.body,
        start=opened.start_record.body,
        bill=receipt.bill,
        records=opened.signed,
        keys=opened.keys,
    )
    return check_signed(evidence, meter_key)


def _chain_checks(
    receipt: Receipt,
    opened: Opened | None,
    rpc_url: str | None,
    chain_path: Path | None,
    contracts: PublishedContracts | None,
) -> list[Check]:
    names = [*ON_CHAIN, "settlement-on-chain"]
    if receipt.credit_txs or any(leaf.kind == "credit" for leaf in receipt.leaves):
        names.append("credits-on-chain")
    if contracts is not None and contracts.has_escrow:
        names.append(PAYMENT)
    if receipt.chain is None:
        reason = "the receipt names no chain: no anchor was made"
    elif rpc_url is None and chain_path is None:
        reason = "no chain was asked: give --rpc URL or --chain PATH"
    else:
        # Imported here: the offline verifier needs neither web3 nor an EVM.
        try:
            from ledger.verify_chain import SettledLeaf, check_chain  # noqa: PLC0415  # see above
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("ledger"):
                raise
            reason = f"{error.name} is missing: {HOW_TO_ASK}"
        else:
            settled = None
            if opened is not None:
                settled = SettledLeaf(
                    leaf_hash=opened.settlement.leaf_hash,
                    start_leaf_index=opened.start.index,
                    credits=opened.credits,
                )
            return check_chain(
                receipt,
                receipt.chain,
                settled,
                names=names,
                rpc_url=rpc_url,
                chain_path=chain_path,
                published=contracts,
            )
    return [Check.open(name, reason) for name in names]
