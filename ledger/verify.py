"""The verifier: a receipt in, a list of checks with verdicts out.

Offline checks need neither web3 nor an EVM. A chain is asked when one is given: an
RPC endpoint of the verifier's own choice, or the operator's chain file, which proves
nothing to others and is therefore never more than *self-witnessed*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from ledger import merkle, pricing, record
from ledger.errors import BundleError, RecordError
from ledger.heads import KnownHeads, check_consistency
from ledger.invoice_proofs import check_invoices, has_invoices
from ledger.meter_key import MeterKey
from ledger.published import PublishedContracts, check_published
from ledger.receipt import LeafProof, Receipt
from ledger.receipt_parsing import MAX_BUNDLE_BYTES, parse_receipt
from ledger.record import Record
from ledger.strict_json import read_file
from ledger.verdicts import Check, Verdict, VerificationReport
from ledger.verify_credits import by_hand, check_credits, check_decision
from ledger.verify_signed import SignedEvidence, check_signed

__all__ = ["Check", "Verdict", "VerificationReport", "verify", "verify_file"]

HOW_TO_ASK: Final = "install wattproof-ledger[chain] to ask one"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """The records of a receipt, found to be what they claim."""

    start: LeafProof
    start_record: Record
    settlement: LeafProof
    settlement_record: Record
    readings: tuple[tuple[LeafProof, Record], ...]
    decision: tuple[LeafProof, Record] | None
    credits: tuple[tuple[LeafProof, Record], ...]
    signed: tuple[tuple[LeafProof, Record], ...]
    keys: tuple[tuple[LeafProof, Record], ...]


class _WrongError(Exception):
    """A check found something wrong; the text says what."""


class _UnprovenError(Exception):
    """Nothing is wrong, and something is only claimed; the text says what."""


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
    checks = [Check(name="format", verdict=Verdict.TRUE, reason=reason)]
    try:
        opened = _open(receipt)
    except (_WrongError, RecordError) as error:
        checks.append(Check(name="records", verdict=Verdict.FALSE, reason=str(error)))
        return VerificationReport(checks=tuple(checks))
    checks.append(
        Check(
            name="records",
            verdict=Verdict.TRUE,
            reason=f"{len(receipt.leaves)} canonical records of one session",
        )
    )
    parts: tuple[tuple[str, Callable[[Receipt, _Opened], str]], ...] = (
        ("inclusion", _check_inclusion),
        ("readings", _check_readings),
        ("registers", _check_registers),
        ("bill", _check_bill),
        ("settlement", _check_settlement),
    )
    checks += [_run(name, check, receipt, opened) for name, check in parts]
    if opened.decision is not None:
        checks.append(_run("decision", _check_decision, receipt, opened))
    if opened.credits or receipt.credit_txs:
        checks.append(_run("credits", _check_credits, receipt, opened))
    if has_invoices(receipt):
        checks.append(_run("invoice", _check_invoice, receipt, opened))
    checks += _signed_checks(opened, receipt, meter_key)
    checks.append(check_consistency(heads, receipt.head.size, receipt.head.root))
    checks.append(check_published(contracts, receipt.chain))
    checks += _chain_checks(receipt, opened, rpc_url, chain_path, contracts)
    return VerificationReport(checks=tuple(checks))


def _run(
    name: str,
    check: Callable[[Receipt, _Opened], str],
    receipt: Receipt,
    opened: _Opened,
) -> Check:
    try:
        return Check(name=name, verdict=Verdict.TRUE, reason=check(receipt, opened))
    except _UnprovenError as error:
        return Check(name=name, verdict=Verdict.UNCHECKED, reason=str(error))
    except (_WrongError, BundleError, RecordError) as error:
        return Check(name=name, verdict=Verdict.FALSE, reason=str(error))


def _open(receipt: Receipt) -> _Opened:
    """Read all records; tell start, readings and settlement apart."""
    found: dict[str, list[tuple[LeafProof, Record]]] = {}
    for leaf in receipt.leaves:
        try:
            read = record.parse(leaf.record)
        except RecordError as error:
            raise _WrongError(f"leaf {leaf.index}: {error}") from None
        if read.kind != leaf.kind:
            raise _WrongError(f"leaf {leaf.index} is a {read.kind}, not a {leaf.kind}")
        is_key = leaf.kind == "meter_key"  # of a meter, for all of its sessions
        if not is_key and read.body.get("session_id") != receipt.session.session_id:
            raise _WrongError(f"leaf {leaf.index} belongs to another session")
        found.setdefault(leaf.kind, []).append((leaf, read))
    for before, after in pairwise(receipt.leaves):
        if after.index <= before.index:
            raise _WrongError(f"leaf {after.index} is out of order")
    starts = found.pop("session_start", [])
    settlements = found.pop("settlement", [])
    readings = found.pop("meter", [])
    decisions = found.pop("decision", [])
    credited = found.pop("credit", [])
    signed, keys = found.pop("signed_meter", []), found.pop("meter_key", [])
    if found:
        raise _WrongError(f"a receipt has no {min(found)} leaves")
    if len(decisions) > 1:
        raise _WrongError("a held bill is decided on once")
    if len(starts) != 1 or len(settlements) != 1:
        raise _WrongError("a receipt has one start leaf and one settlement leaf")
    return _Opened(
        start=starts[0][0],
        start_record=starts[0][1],
        settlement=settlements[0][0],
        settlement_record=settlements[0][1],
        readings=tuple(readings),
        decision=decisions[0] if decisions else None,
        credits=tuple(credited),
        signed=tuple(signed),
        keys=tuple(keys),
    )


def _check_inclusion(receipt: Receipt, opened: _Opened) -> str:
    del opened
    for leaf in receipt.leaves:
        if not merkle.verify_inclusion(
            leaf=leaf.leaf_hash,
            index=leaf.index,
            size=receipt.head.size,
            proof=leaf.inclusion,
            head=receipt.head.root,
        ):
            raise _WrongError(f"leaf {leaf.index} is not in the log with this head")
    count = len(receipt.leaves)
    leaves = "the one leaf is" if count == 1 else f"all {count} leaves are"
    return f"{leaves} in the log of {receipt.head.size}"


def _check_readings(receipt: Receipt, opened: _Opened) -> str:
    del receipt
    facts = opened.settlement_record.body
    count = len(opened.readings)
    if count != facts["readings_count"]:
        raise _WrongError(f"{_readings(count)}, the settlement counts another number")
    root = merkle.root([leaf.leaf_hash for leaf, _ in opened.readings])
    if root.hex() != facts["readings_root"]:
        raise _WrongError("the readings are not those that were settled")
    return f"complete: {_readings(count)}, as settled"


def _readings(count: int) -> str:
    return "1 reading" if count == 1 else f"{count} readings"


def _check_registers(receipt: Receipt, opened: _Opened) -> str:
    """Hold the bill's registers, and its split at price edges, against the readings."""
    bill = receipt.bill
    start, end = bill.get("register_start_milliwh"), bill.get("register_end_milliwh")
    if not isinstance(start, int) or not isinstance(end, int):
        raise _WrongError("the bill has no registers")
    points: list[tuple[datetime, int]] = []
    for _leaf, reading in opened.readings:
        register = reading.body["register_milliwh"]
        if isinstance(register, int):
            points.append((pricing.parse_time(reading.body["occurred_at"]), register))
    known = {register for _, register in points}
    first = opened.start_record.body.get("register_start_milliwh")
    if isinstance(first, int):
        known.add(first)
        begun = pricing.parse_time(opened.start_record.body["started_at"])
        points.append((begun, first))
    for name, register in (("start", start), ("end", end)):
        if register not in known:
            raise _WrongError(f"no reading shows the {name} register {register}")
    within = [point for point in points if start <= point[1] <= end]
    _check_split(pricing.bill_parts(bill), start, within)
    stated = by_hand(opened.readings, bill)
    if stated is not None:
        raise _UnprovenError(
            f"an operator stated the {stated} register: no reading shows it"
        )
    return f"registers {start} and {end} mWh were read, and nothing contradicts"


def _check_split(
    parts: Sequence[pricing.Part], start: int, points: Sequence[tuple[datetime, int]]
) -> None:
    """Check each price edge: its register lies between the readings around it."""
    register = start
    for _begin, edge, energy, _price in parts[:-1]:
        register += energy
        low = max((r for at, r in points if at < edge), default=register)
        high = min((r for at, r in points if at > edge), default=register)
        if not low <= register <= high:
            raise _WrongError(f"the energy before {edge.isoformat()} fits no readings")


def _check_bill(receipt: Receipt, opened: _Opened) -> str:
    del opened
    if record.sha256_json(receipt.tariff) != receipt.bill.get("tariff_sha256"):
        raise _WrongError("the tariff is not the one the bill names")
    wrong = pricing.check_bill(receipt.bill, receipt.tariff)
    if wrong:
        raise _WrongError("; ".join(wrong[:3]))
    bill = receipt.bill
    return (
        f"{bill['energy_milliwh']} mWh cost {bill['amount_minor']} minor units of"
        f" {bill['currency']}, recomputed"
    )


def _check_settlement(receipt: Receipt, opened: _Opened) -> str:
    """Hold session and bill against the records that the log holds."""
    facts, begun = opened.settlement_record.body, opened.start_record.body
    bill, session = receipt.bill, receipt.session
    key = record.session_key(opened.start.salt, opened.start.index)
    pairs: list[tuple[str, object, object]] = [
        ("bill_sha256", facts["bill_sha256"], record.sha256_json(bill)),
        ("session_key", facts["session_key"], key.hex()),
        ("session.session_key", session.session_key, key),
        ("start_leaf_index", facts["start_leaf_index"], opened.start.index),
        ("session.started_at", session.started_at, facts["started_at"]),
        ("started_at", facts["started_at"], begun["started_at"]),
        ("session.ended_at", session.ended_at, facts["ended_at"]),
        ("session.station_id", session.station_id, begun["station_id"]),
        ("session.evse_id", session.evse_id, begun["evse_id"]),
    ]
    same = (
        "register_start_milliwh",
        "register_end_milliwh",
        "energy_milliwh",
        "amount_minor",
        "currency",
        "tariff_sha256",
    )
    pairs += [(name, facts[name], bill.get(name)) for name in same]
    if "tariff_sha256" in begun:
        pairs.append(
            ("the promised tariff", facts["tariff_sha256"], begun["tariff_sha256"])
        )
    for name, one, other in pairs:
        if one != other:
            raise _WrongError(f"{name} differs from what was settled")
    last = max((leaf.index for leaf, _ in opened.readings), default=-1)
    if opened.settlement.index < max(last, opened.start.index):
        raise _WrongError("the settlement stands before what it settles")
    return "session and bill are those of the settlement leaf"


def _check_decision(receipt: Receipt, opened: _Opened) -> str:
    del receipt
    assert opened.decision is not None, "it is checked only where there is one"
    settlement = opened.settlement, opened.settlement_record
    return check_decision(settlement, opened.decision)


def _check_credits(receipt: Receipt, opened: _Opened) -> str:
    settlement = opened.settlement, opened.settlement_record
    return check_credits(receipt, settlement, opened.credits)


def _check_invoice(receipt: Receipt, opened: _Opened) -> str:
    settlement = opened.settlement, opened.settlement_record
    return check_invoices(receipt, settlement, opened.credits)


def _signed_checks(
    opened: _Opened, receipt: Receipt, meter_key: MeterKey | None
) -> list[Check]:
    """Look at what the meter signed, and say so where it signed nothing."""
    evidence = SignedEvidence(
        settlement_index=opened.settlement.index,
        facts=opened.settlement_record.body,
        start=opened.start_record.body,
        bill=receipt.bill,
        records=opened.signed,
        keys=opened.keys,
    )
    return [
        Check(
            name=name,
            verdict=_OF_SIGNED[is_so],
            reason=reason,
            is_claimed=is_so is not None,
        )
        for name, is_so, reason in check_signed(evidence, meter_key)
    ]


_OF_SIGNED = {True: Verdict.TRUE, False: Verdict.FALSE, None: Verdict.UNCHECKED}


def _chain_checks(
    receipt: Receipt,
    opened: _Opened,
    rpc_url: str | None,
    chain_path: Path | None,
    contracts: PublishedContracts | None,
) -> list[Check]:
    names = ["chain", "head", "settlement-on-chain"]
    names += ["credits-on-chain"] if opened.credits else []
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
            return _open_checks(names, f"{error.name} is missing: {HOW_TO_ASK}")
        return check_chain(
            receipt,
            receipt.chain,
            SettledLeaf(
                leaf_hash=opened.settlement.leaf_hash,
                start_leaf_index=opened.start.index,
                credits=opened.credits,
            ),
            rpc_url=rpc_url,
            chain_path=chain_path,
            published=contracts,
        )
    return _open_checks(names, reason)


def _open_checks(names: Sequence[str], reason: str) -> list[Check]:
    return [Check.open(name, reason) for name in names]
