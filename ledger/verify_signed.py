"""From the bill down to the meter's signature, offline.

Nothing here asks the gateway: records are read by `ledger.ocmf`, signatures are checked
by `ledger.ecdsa`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger import merkle
from ledger.check_names import SIGNED
from ledger.errors import BundleError
from ledger.meter_key import MeterKey, of_curve
from ledger.ocmf import Course, SignedRecord, course, read_record
from ledger.receipt import LeafProof
from ledger.record import Record
from ledger.signed_claim import FAILED, OK, UNSIGNED, UNVERIFIED
from ledger.verdicts import Check, Verdict

MAX_RECORDS: Final = 1_000
"""Signatures take milliseconds each: bounds what a hostile file costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedEvidence:
    """What a receipt has about signed data.

    Attributes:
        facts: Of the settlement leaf.
        start: Of the start leaf.
        records: ``signed_meter`` leaves, in log order.
        keys: ``meter_key`` leaves.
    """

    settlement_index: int
    facts: Mapping[str, object]
    start: Mapping[str, object]
    bill: Mapping[str, object]
    records: Sequence[tuple[LeafProof, Record]]
    keys: Sequence[tuple[LeafProof, Record]]


def check_signed(evidence: SignedEvidence, meter_key: MeterKey | None) -> list[Check]:
    """Hold the bill against what the meter signed.

    Args:
        evidence: From the receipt, its records canonical and of this session.
        meter_key: As it is printed on the meter; ``None``: the log's word counts.
    """
    if evidence.facts.get("signed_verdict") != OK:
        return _check_unsigned(evidence, meter_key)
    pinned: list[MeterKey] = []
    read: list[SignedRecord] = []

    def signed_data() -> str:
        reason = _check_complete(evidence)
        pinned.append(_check_pin(evidence))
        return f"{reason}; the key was pinned in leaf {evidence.keys[0][0].index}"

    def signature() -> str:
        read.extend(_read(evidence))
        key = meter_key or pinned[0]
        _check_signatures(read, key)
        _check_serial(read, evidence.keys[0][1].body["meter_serial"])
        whose = "the given key" if meter_key else "the pinned key"
        return f"{_count(len(read))} of meter {read[0].meter_serial or '?'}, by {whose}"

    def registers() -> str:
        found = course(read)
        _check_bill(found, evidence.bill)
        return (
            f"the bill has what the meter signed as {found.register or 'its register'}:"
            f" {found.begin.milliwh} mWh at {found.begin.at},"
            f" {found.end.milliwh} mWh at {found.end.at}"
        )

    checks = [_found("signed-data", signed_data)]
    if not pinned:
        why = "the signed data does not hold"
        return [*checks, *(Check.not_judged(name, why) for name in SIGNED[1:])]
    checks.append(_found("meter-signature", signature))
    if checks[-1].verdict is Verdict.TRUE:
        checks.append(_found("signed-registers", registers))
    else:
        checks.append(Check.not_judged("signed-registers", "a signature does not hold"))
    return [*checks, _compare(pinned[0], meter_key)]


def _found(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check.true(name, check())
    except BundleError as error:
        return Check.false(name, str(error))


def _check_unsigned(
    evidence: SignedEvidence, meter_key: MeterKey | None
) -> list[Check]:
    """Say that the bill rests on the station's word, and why."""
    verdict = evidence.facts.get("signed_verdict")
    reasons = evidence.facts.get("signed_reasons")
    why = ", ".join(map(str, reasons)) if isinstance(reasons, list) else ""
    name, text, is_wrong = "meter-signature", "", True
    if evidence.records or evidence.keys:
        text = "signed data in it that the settlement does not count"
    elif verdict is None:
        text = "not signed by the meter, as far as this settlement tells"
        is_wrong = False
    elif verdict == UNSIGNED:
        text = "not signed by the meter: the bill rests on the station's word"
        is_wrong = False
    elif verdict in (UNVERIFIED, FAILED):
        text = f"not proven by the meter: its signed data was {verdict} ({why})"
        is_wrong = False
    else:
        text = "the settlement says nothing known of signed data"
    signature = (
        Check.false(name, text)
        if is_wrong
        else Check.open(name, text, is_claimed=False)
    )
    data, registers, key = (
        Check.not_judged(one, "the bill rests on no signed data", is_claimed=False)
        for one in SIGNED
        if one != name
    )
    if meter_key is not None:
        key = Check.false(key.name, "there is no signature to hold against it")
    return [data, signature, registers, key]


def _check_complete(evidence: SignedEvidence) -> str:
    facts, n_record = evidence.facts, len(evidence.records)
    if n_record > MAX_RECORDS:
        raise BundleError(f"more than {MAX_RECORDS} signed records")
    if n_record == 0 or n_record != facts.get("signed_count"):
        raise BundleError(f"{_count(n_record)}, the settlement counts another number")
    root = merkle.root([leaf.leaf_hash for leaf, _ in evidence.records])
    if root.hex() != facts.get("signed_root"):
        raise BundleError("the signed records are not those that were settled")
    if any(leaf.index > evidence.settlement_index for leaf, _ in evidence.records):
        raise BundleError("a signed record stands after the settlement")
    return f"complete: {_count(n_record)}, as settled"


def _check_pin(evidence: SignedEvidence) -> MeterKey:
    """The key that was pinned to this meter when the session was settled."""
    if len(evidence.keys) != 1:
        raise BundleError("a signed receipt has one leaf with a key")
    leaf, pin = evidence.keys[0]
    if leaf.index != evidence.facts.get("meter_key_leaf_index"):
        raise BundleError(f"leaf {leaf.index} is not the key that was settled by")
    if leaf.index > evidence.settlement_index:
        raise BundleError("the key was pinned after the settlement")
    for name in ("station_id", "evse_id"):
        if pin.body[name] != evidence.start.get(name):
            raise BundleError(f"leaf {leaf.index} is the key of another meter")
    curve, public_key = pin.body["curve"], pin.body["public_key"]
    if not isinstance(curve, str) or not isinstance(public_key, str):
        raise BundleError(f"leaf {leaf.index} withdraws a key")
    return of_curve(curve, public_key)


def _read(evidence: SignedEvidence) -> list[SignedRecord]:
    found = []
    for leaf, one in evidence.records:
        if one.body["format"] != "OCMF":
            raise BundleError(f"leaf {leaf.index} is in no format known here")
        try:
            found.append(read_record(str(one.body["text"])))
        except BundleError as error:
            raise BundleError(f"leaf {leaf.index}: {error}") from None
    return found


def _check_signatures(records: Sequence[SignedRecord], key: MeterKey) -> None:
    for one in records:
        page = f"{'T' if one.is_of_transaction else 'F'}{one.page}"
        if one.curve != key.curve.name:
            raise BundleError(
                f"record {page} is signed on {one.curve}, not on {key.curve.name}"
            )
        if not key.signed(one.signed, one.signature):
            raise BundleError(
                f"record {page} was not signed by the key {key.fingerprint}"
            )


def _check_serial(records: Sequence[SignedRecord], serial: object) -> None:
    for one in records:
        if serial is not None and one.meter_serial != serial:
            raise BundleError(
                f"signed by meter {one.meter_serial}, the key was pinned to {serial}"
            )


def _check_bill(found: Course, bill: Mapping[str, object]) -> None:
    for name, reading in (("start", found.begin), ("end", found.end)):
        billed = bill.get(f"register_{name}_milliwh")
        if billed != reading.milliwh:
            raise BundleError(
                f"the bill's {name} register is {billed} mWh,"
                f" the meter signed {reading.milliwh} mWh"
            )


def _compare(pinned: MeterKey, meter_key: MeterKey | None) -> Check:
    name = "meter-key"
    if meter_key is None:
        text = f"that {pinned.fingerprint} is the meter's key is the operator's word:"
        text = f"{text} give --meter-key as printed on it"
        return Check.open(name, text, is_claimed=False)
    if meter_key != pinned:
        text = f"pinned was {pinned.fingerprint}, given is {meter_key.fingerprint}"
        return Check.false(name, text)
    return Check.true(name, f"{pinned.fingerprint} was pinned, and is the given one")


def _count(number: int) -> str:
    return "1 signed record" if number == 1 else f"{number} signed records"
