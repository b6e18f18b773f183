"""Whether the signed records of a session prove its energy.

The signature of each record is checked elsewhere; here is what they must say together:
a begin and an end of one meter and one register, without a page missing, without an
error, with a register that only grows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from gateway.domain.ocmf import BEGIN, ENDS, GOOD, OcmfReading, OcmfRecord, preference

HARMLESS: Final = frozenset(
    {
        "algorithm_unsupported",
        "meter_key_not_pinned",
        "ocmf_bad_pagination",
        "ocmf_bad_payload",
        "ocmf_bad_readings",
        "ocmf_no_signature",
        "signed_bad_json",
        "signed_bad_xml",
        "signed_format",
        "signed_no_begin",
        "signed_no_end",
        "signed_no_import_register",
        "signed_too_large",
        "too_many_records",
    }
)
"""Reasons that prove nothing and contradict nothing: the session is as one unsigned."""


class SignedVerdict(StrEnum):
    """What the records of a session prove."""

    OK = "ok"
    UNSIGNED = "unsigned"
    UNVERIFIED = "unverified"
    """There are records, but they do not suffice; nothing speaks against the energy."""
    FAILED = "failed"
    """A record is forged, broken, of another meter, or contradicts the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One record of a session.

    Attributes:
        record: ``None`` where it could not be read.
        reason: Why it does not count; ``None``: its signature is the pinned key's.
        detail: One sentence on the reason.
    """

    record: OcmfRecord | None
    reason: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedFinding:
    """What all records of a session come to.

    Attributes:
        reasons: Words, ascending; empty for `OK` and `UNSIGNED`.
        register_start_milliwh: Signed, of the register that is billed; only for `OK`.
        register_end_milliwh: Likewise.
    """

    verdict: SignedVerdict
    reasons: tuple[str, ...] = ()
    register_start_milliwh: int | None = None
    register_end_milliwh: int | None = None


UNSIGNED: Final = SignedFinding(verdict=SignedVerdict.UNSIGNED)


def conclude(
    examined: Sequence[Examined], *, more: Sequence[str] = ()
) -> SignedFinding:
    """Judge the records of one session.

    Args:
        examined: Its records; one that came twice is given once.
        more: Reasons found elsewhere.
    """
    if not examined:
        return UNSIGNED
    reasons = {one.reason for one in examined if one.reason is not None} | set(more)
    records = [one.record for one in examined if one.record is not None]
    ordered = sorted(
        (one for one in records if one.is_of_transaction), key=lambda one: one.page
    )
    reasons |= _contradictions(ordered)
    edges = _edges(ordered, reasons)
    if reasons or edges is None:
        is_harmless = reasons <= HARMLESS
        return SignedFinding(
            verdict=SignedVerdict.UNVERIFIED if is_harmless else SignedVerdict.FAILED,
            reasons=tuple(sorted(reasons)),
        )
    start, end = edges
    return SignedFinding(
        verdict=SignedVerdict.OK,
        register_start_milliwh=start,
        register_end_milliwh=end,
    )


def _contradictions(ordered: Sequence[OcmfRecord]) -> set[str]:
    found: set[str] = set()
    if len({one.meter_serial for one in ordered}) > 1:
        found.add("signed_serial_differs")
    if len({one.gateway_serial for one in ordered}) > 1:
        found.add("signed_serial_differs")
    for before, after in pairwise(ordered):
        if after.page == before.page:
            found.add("signed_page_repeated")
        elif after.page != before.page + 1:
            found.add("signed_page_missing")
    return found


def _edges(ordered: Sequence[OcmfRecord], reasons: set[str]) -> tuple[int, int] | None:
    """Begin and end of the register that is billed; what is wrong joins the reasons."""
    if not ordered and reasons:
        return None  # nothing could be read: why, they say already
    readings = [reading for record in ordered for reading in record.readings]
    begins = [one for one in readings if one.kind == BEGIN]
    ends = [one for one in readings if one.kind in ENDS]
    if not begins:
        reasons.add("signed_no_begin")
    if not ends:
        reasons.add("signed_no_end")
    if not begins or not ends:
        return None
    registers = {one.register for one in begins if one.is_import}
    registers &= {one.register for one in ends if one.is_import}
    if not registers:
        reasons.add("signed_no_import_register")
        return None
    register = min(sorted(registers), key=preference)
    mine = [one for one in readings if one.register == register and one.is_import]
    return _course(mine, reasons)


def _course(mine: Sequence[OcmfReading], reasons: set[str]) -> tuple[int, int]:
    """First and last of one register's readings; what is wrong joins the reasons."""
    mine = list(dict.fromkeys(mine))  # an end may repeat its begin
    if sum(one.kind == BEGIN for one in mine) > 1:
        reasons.add("signed_several_begins")
    if sum(one.kind in ENDS for one in mine) > 1:
        reasons.add("signed_several_ends")
    if any(_is_faulty(one) for one in mine):
        reasons.add("signed_meter_error")
    if mine[0].kind != BEGIN or mine[-1].kind not in ENDS:
        reasons.add("signed_out_of_order")
    values = [one.energy_milliwh or 0 for one in mine]
    if any(after < before for before, after in pairwise(values)):
        reasons.add("signed_register_falls")
    return values[0], values[-1]


def _is_faulty(reading: OcmfReading) -> bool:
    """An error of the energy, or a status that is not good; of the time it may be."""
    return "E" in reading.flags or reading.status != GOOD
