"""What the verifier of receipts looks at offline, one function for each check.

Each returns why it holds, or raises what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TypeAlias

from ledger import merkle, pricing, record
from ledger import verify_credits as corrections
from ledger.errors import RecordError
from ledger.invoice_proofs import check_invoices
from ledger.receipt import LeafProof, Receipt
from ledger.record import Record
from ledger.verify_credits import by_hand

Read: TypeAlias = tuple[LeafProof, Record]
"""A leaf with its record, read back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The records of a receipt, found to be what they claim."""

    start: LeafProof
    start_record: Record
    settlement: LeafProof
    settlement_record: Record
    readings: tuple[Read, ...]
    decision: Read | None
    credits: tuple[Read, ...]
    signed: tuple[Read, ...]
    keys: tuple[Read, ...]


class WrongError(Exception):
    """A check found something wrong; the text says what."""


class UnprovenError(Exception):
    """Nothing is wrong, and something is only claimed; the text says what."""


def read_records(receipt: Receipt) -> tuple[Read, ...]:
    """Read all records, which must be in their canonical form."""
    found = []
    for leaf in receipt.leaves:
        try:
            found.append((leaf, record.parse(leaf.record)))
        except RecordError as error:
            raise WrongError(f"leaf {leaf.index}: {error}") from None
    return tuple(found)


def open_records(receipt: Receipt, records: Sequence[Read]) -> Opened:
    """Tell start, readings and settlement apart; all must be of one session."""
    found: dict[str, list[Read]] = {}
    for leaf, read in records:
        if read.kind != leaf.kind:
            raise WrongError(f"leaf {leaf.index} is a {read.kind}, not a {leaf.kind}")
        is_key = leaf.kind == "meter_key"  # of a meter, for all of its sessions
        if not is_key and read.body.get("session_id") != receipt.session.session_id:
            raise WrongError(f"leaf {leaf.index} belongs to another session")
        found.setdefault(leaf.kind, []).append((leaf, read))
    for before, after in pairwise(receipt.leaves):
        if after.index <= before.index:
            raise WrongError(f"leaf {after.index} is out of order")
    starts = found.pop("session_start", [])
    settlements = found.pop("settlement", [])
    readings = found.pop("meter", [])
    decisions = found.pop("decision", [])
    credited = found.pop("credit", [])
    signed, keys = found.pop("signed_meter", []), found.pop("meter_key", [])
    if found:
        raise WrongError(f"a receipt has no {min(found)} leaves")
    if len(decisions) > 1:
        raise WrongError("a held bill is decided on once")
    if len(starts) != 1 or len(settlements) != 1:
        raise WrongError("a receipt has one start leaf and one settlement leaf")
    return Opened(
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


def check_commitment(receipt: Receipt) -> str:
    """Compute each commitment; where the receipt states none, the log must hold it."""
    for leaf in receipt.leaves:
        if not leaf.is_as_stated():
            raise WrongError(f"leaf {leaf.index}: salt and record commit to another")
    silent = [leaf for leaf in receipt.leaves if leaf.stated is None]
    for leaf in silent:
        if not leaf.is_under(receipt.head):
            raise UnprovenError(
                f"not judged: no commitment is stated for leaf {leaf.index},"
                " and the log does not hold the computed one there"
            )
    where = "as the log has it" if silent else "as stated"
    return f"{_counted(len(receipt.leaves), 'commitment')} computed, {where}"


def check_inclusion(receipt: Receipt) -> str:
    """Find each leaf in the tree of the head."""
    for leaf in receipt.leaves:
        if not leaf.is_under(receipt.head):
            raise WrongError(f"leaf {leaf.index} is not in the log with this head")
    count = len(receipt.leaves)
    leaves = "the one leaf is" if count == 1 else f"all {count} leaves are"
    return f"{leaves} in the log of {receipt.head.size}"


def _counted(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def check_readings(receipt: Receipt, opened: Opened) -> str:
    """Hold number and root of the readings against the settlement."""
    del receipt
    facts = opened.settlement_record.body
    count = len(opened.readings)
    if count != facts["readings_count"]:
        raise WrongError(
            f"{_counted(count, 'reading')}, the settlement counts another number"
        )
    root = merkle.root([leaf.leaf_hash for leaf, _ in opened.readings])
    if root.hex() != facts["readings_root"]:
        raise WrongError("the readings are not those that were settled")
    return f"complete: {_counted(count, 'reading')}, as settled"


def check_registers(receipt: Receipt, opened: Opened) -> str:
    """Hold the bill's registers, and its split at price edges, against the readings."""
    bill = receipt.bill
    start, end = bill.get("register_start_milliwh"), bill.get("register_end_milliwh")
    if not isinstance(start, int) or not isinstance(end, int):
        raise WrongError("the bill has no registers")
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
            raise WrongError(f"no reading shows the {name} register {register}")
    within = [point for point in points if start <= point[1] <= end]
    _check_split(pricing.bill_parts(bill), start, within)
    stated = by_hand(opened.readings, bill)
    if stated is not None:
        raise UnprovenError(
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
            raise WrongError(f"the energy before {edge.isoformat()} fits no readings")


def check_bill(receipt: Receipt) -> str:
    """Compute the bill from its registers and the tariff."""
    if record.sha256_json(receipt.tariff) != receipt.bill.get("tariff_sha256"):
        raise WrongError("the tariff is not the one the bill names")
    wrong = pricing.check_bill(receipt.bill, receipt.tariff)
    if wrong:
        raise WrongError("; ".join(wrong[:3]))
    bill = receipt.bill
    return (
        f"{bill['energy_milliwh']} mWh cost {bill['amount_minor']} minor units of"
        f" {bill['currency']}, recomputed"
    )


def check_settlement(receipt: Receipt, opened: Opened) -> str:
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
            raise WrongError(f"{name} differs from what was settled")
    last = max((leaf.index for leaf, _ in opened.readings), default=-1)
    if opened.settlement.index < max(last, opened.start.index):
        raise WrongError("the settlement stands before what it settles")
    return "session and bill are those of the settlement leaf"


def check_decision(receipt: Receipt, opened: Opened) -> str:
    """Hold an operator's decision against what was settled."""
    del receipt
    assert opened.decision is not None, "it is checked only where there is one"
    settlement = opened.settlement, opened.settlement_record
    return corrections.check_decision(settlement, opened.decision)


def check_credits(receipt: Receipt, opened: Opened) -> str:
    """Hold the credits against the settlement."""
    settlement = opened.settlement, opened.settlement_record
    return corrections.check_credits(receipt, settlement, opened.credits)


def check_invoice(receipt: Receipt, opened: Opened) -> str:
    """Find settlement and credits among the invoices of their windows."""
    settlement = opened.settlement, opened.settlement_record
    return check_invoices(receipt, settlement, opened.credits)
