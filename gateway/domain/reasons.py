"""Every word that a verdict or a held bill is explained by, what it weighs and means.

There is no other list: `gateway.domain.verdict` takes the weights from here, and the
table in ``docs/metering.md`` is written from here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """May the energy be billed? Only the first two settle by themselves."""

    OK = "ok"
    OK_UNSIGNED = "ok-unsigned"
    RECONSTRUCTED = "reconstructed"
    SUSPICIOUS = "suspicious"
    UNBILLABLE = "unbillable"


class About(StrEnum):
    """What a reason is about, in the order of the table."""

    ENERGY = "energy"
    SIGNATURE = "signature"
    BILL = "bill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What a word weighs and means.

    Attributes:
        verdict: The best verdict that a session with it can have; ``OK``: it is told,
            and changes no verdict.
        holds: Told beside any verdict, and the bill waits all the same.
        text: One sentence part, as it stands in the table.
    """

    about: About
    verdict: Verdict
    text: str
    holds: bool = False


def _energy(verdict: Verdict, text: str) -> Reason:
    return Reason(about=About.ENERGY, verdict=verdict, text=text)


def _signed(verdict: Verdict, text: str) -> Reason:
    return Reason(about=About.SIGNATURE, verdict=verdict, text=text)


def _bill(text: str) -> Reason:
    return Reason(about=About.BILL, verdict=Verdict.OK, text=text, holds=True)


_ENERGY: Final[Mapping[str, Reason]] = {
    "incomplete": _energy(
        Verdict.OK, "messages of the session are missing; its registers are complete"
    ),
    "missing_energy": _energy(
        Verdict.OK,
        "more than an idle station draws was drawn since the session before",
    ),
    "register_rebased": _energy(
        Verdict.OK, "the register began anew since the session before"
    ),
    "summed_phases": _energy(
        Verdict.OK, "registers were told per phase, and added up here"
    ),
    "ended_by_operator": _energy(
        Verdict.RECONSTRUCTED, "an operator ended it: `POST /sessions/SESSION/end`"
    ),
    "interval_missing": _energy(
        Verdict.RECONSTRUCTED,
        "some time of the session lies in none of the intervals that were added up",
    ),
    "interval_sum": _energy(
        Verdict.RECONSTRUCTED,
        "no registers: energies of intervals were added up, counted from 0",
    ),
    "matched_by_place": _energy(
        Verdict.RECONSTRUCTED,
        "the end named no known transaction; it was matched by station and connector",
    ),
    "no_end_register": _energy(
        Verdict.RECONSTRUCTED, "the end has no register; the last sample counts"
    ),
    "no_start": _energy(Verdict.RECONSTRUCTED, "the start was never received"),
    "no_start_register": _energy(
        Verdict.RECONSTRUCTED, "the start has no register; the lowest sample counts"
    ),
    "placeholder_end": _energy(
        Verdict.RECONSTRUCTED,
        "the end register is a 0 that cannot be true; the last sample counts, if any",
    ),
    "placeholder_start": _energy(
        Verdict.RECONSTRUCTED,
        "the start register is a 0 that cannot be true; the lowest sample counts, or"
        " the end of the session before",
    ),
    "start_from_previous": _energy(
        Verdict.RECONSTRUCTED,
        "the start is missing; where the session before ended counts",
    ),
    "superseded": _energy(
        Verdict.RECONSTRUCTED,
        "another session began at the EVSE before this one ended",
    ),
    "amended": _energy(Verdict.SUSPICIOUS, "another, different end came later"),
    "amended_start": _energy(Verdict.SUSPICIOUS, "another, different start came later"),
    "unit_slip": _energy(
        Verdict.SUSPICIOUS,
        "its samples fit its start and end if they are multiplied, or divided, by 1000:"
        " one of them is in another unit than it says",
    ),
    "begin_sample_differs": _energy(
        Verdict.SUSPICIOUS,
        "the sample of the begin and the start register differ by more than 10 Wh and"
        " 1 % of the energy",
    ),
    "clock_unset": _energy(Verdict.SUSPICIOUS, "the station's clock was never set"),
    "end_below_start": _energy(Verdict.SUSPICIOUS, "it ends below its start"),
    "end_sample_differs": _energy(
        Verdict.SUSPICIOUS,
        "the sample of the end and the end register differ by more than 10 Wh and 1 %"
        " of the energy",
    ),
    "ends_before_start": _energy(
        Verdict.SUSPICIOUS, "its end is earlier than its start"
    ),
    "exceeds_main_meter": _energy(
        Verdict.SUSPICIOUS,
        "more than the main meter of its cabinet counted meanwhile, by 8 % and 500 Wh",
    ),
    "faster_than_rated": _energy(
        Verdict.SUSPICIOUS,
        "more energy than 1.05 times the rated power gives in the time, and 10 Wh",
    ),
    "intervals_differ": _energy(
        Verdict.SUSPICIOUS,
        "energies of intervals and the register beside them differ by more than 10 Wh"
        " and 1 %",
    ),
    "phases_differ": _energy(
        Verdict.SUSPICIOUS,
        "registers were added up from other phases at one time than at another",
    ),
    "power_integral_differs": _energy(
        Verdict.SUSPICIOUS,
        "the register lies outside half as much again of what the power beside it"
        " allows",
    ),
    "register_drop": _energy(Verdict.SUSPICIOUS, "a register fell within the session"),
    "register_jump": _energy(
        Verdict.SUSPICIOUS,
        "between two samples it grew by more than the rated power gives in that time"
        " and 5 minutes",
    ),
    "register_overlap": _energy(
        Verdict.SUSPICIOUS,
        "it starts within the registers of the session before: energy would be billed"
        " twice",
    ),
    "register_rollover": _energy(
        Verdict.SUSPICIOUS,
        "it ends below its start as a counter does that ran over its last digit",
    ),
    "relative_samples": _energy(
        Verdict.SUSPICIOUS,
        "its samples count from the start of the session, its start and end do not",
    ),
    "sample_outside_registers": _energy(
        Verdict.SUSPICIOUS,
        "a sample lies more than 10 Wh outside the registers of the session",
    ),
    "sample_outside_session": _energy(
        Verdict.SUSPICIOUS,
        "a sample lies more than a minute outside the time of the session",
    ),
    "signed_energy_differs": _energy(
        Verdict.SUSPICIOUS,
        "signed and unsigned registers differ by more than 10 Wh and 1 %",
    ),
    "no_register": _energy(
        Verdict.UNBILLABLE, "no register at start or end, and none that could stand in"
    ),
    "power_only": _energy(
        Verdict.UNBILLABLE,
        "only power was told: its integral is shown as an estimate, and never billed",
    ),
}
_SIGNATURE: Final[Mapping[str, Reason]] = {
    "algorithm_unsupported": _signed(
        Verdict.OK, "signed by a method that OCMF does not name; `detail` names it"
    ),
    "meter_key_not_pinned": _signed(
        Verdict.OK, "signed, but nobody has pinned the meter's key"
    ),
    "ocmf_bad_pagination": _signed(Verdict.OK, "OCMF whose page is no page number"),
    "ocmf_bad_payload": _signed(Verdict.OK, "OCMF whose payload is not as specified"),
    "ocmf_bad_readings": _signed(
        Verdict.OK, "OCMF whose readings are not as specified"
    ),
    "ocmf_no_signature": _signed(Verdict.OK, "OCMF without a signature"),
    "signed_bad_json": _signed(Verdict.OK, "signed data in broken JSON"),
    "signed_bad_xml": _signed(Verdict.OK, "signed data in broken XML"),
    "signed_format": _signed(Verdict.OK, "signed data in no format known here"),
    "signed_no_begin": _signed(Verdict.OK, "no begin is among the records"),
    "signed_no_end": _signed(Verdict.OK, "no end is among the records"),
    "signed_no_import_register": _signed(
        Verdict.OK, "begin and end are not of a register of imported energy"
    ),
    "signed_too_large": _signed(Verdict.OK, "a text with too much signed data"),
    "too_many_records": _signed(
        Verdict.OK, "more records than are checked of one session"
    ),
    "meter_key_changed": _signed(
        Verdict.SUSPICIOUS,
        "a record came with another key than the pinned one: was the meter exchanged?"
        " [What to do](operations.md#signed-meter-data)",
    ),
    "meter_serial_not_pinned": _signed(
        Verdict.SUSPICIOUS, "a record of another meter than the pinned one"
    ),
    "signature_of_other_curve": _signed(
        Verdict.SUSPICIOUS, "signed on another curve than that of the pinned key"
    ),
    "signature_wrong": _signed(
        Verdict.SUSPICIOUS, "the pinned key did not sign this text"
    ),
    "signed_hostile_xml": _signed(
        Verdict.SUSPICIOUS,
        "XML that declares types or entities, or is nested too deep",
    ),
    "signed_meter_error": _signed(
        Verdict.SUSPICIOUS,
        "the meter flags an error of the energy, or its status is not `G`",
    ),
    "signed_out_of_order": _signed(
        Verdict.SUSPICIOUS, "the records do not go from a begin to an end"
    ),
    "signed_page_missing": _signed(
        Verdict.SUSPICIOUS, "a page between two records is missing"
    ),
    "signed_page_repeated": _signed(
        Verdict.SUSPICIOUS, "two different records have the same page"
    ),
    "signed_record_reused": _signed(
        Verdict.SUSPICIOUS, "another session was billed by this record"
    ),
    "signed_register_falls": _signed(Verdict.SUSPICIOUS, "the signed register falls"),
    "signed_serial_differs": _signed(
        Verdict.SUSPICIOUS, "the records are of several meters"
    ),
    "signed_several_begins": _signed(Verdict.SUSPICIOUS, "there are several begins"),
    "signed_several_ends": _signed(Verdict.SUSPICIOUS, "there are several ends"),
}
_BILLS: Final[Mapping[str, Reason]] = {
    "clock_offset": _bill("the clock is off, and a price changes within that offset"),
    "group_tariff_late": _bill(
        "the token came after the start, when another tariff than its group's was"
        " promised already"
    ),
    "no_price": _bill("no element of the tariff gives energy a price"),
    "no_registers": _bill("there is no energy to price"),
    "no_tariff": _bill("there is no tariff"),
    "not_priced": _bill("times or registers run backwards"),
    "paused_by_limit": _bill(
        "parking has a price, and for a minute or more of it our own limit was zero:"
        " release the bill if the driver is to pay for that"
    ),
    "register_against_power": _bill(
        "register and power differ a hundredfold: one of them is in a wrong unit"
    ),
    "register_unit": _bill(
        "an operator confirmed that the registers are in a wrong unit"
    ),
    "several_prices": _bill("`eichrecht`: more than one price in one session"),
    "time_priced": _bill(
        "`eichrecht`: time has a price, and no certified clock measured it"
    ),
}
REASONS: Final[Mapping[str, Reason]] = {**_ENERGY, **_SIGNATURE, **_BILLS}
_ORDER: Final = tuple(Verdict)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several; ``OK`` of none."""
    return max(verdicts, key=_ORDER.index, default=Verdict.OK)


def weight(word: str) -> Verdict:
    """The best verdict that a session with this word can have."""
    known = REASONS.get(word)
    return Verdict.OK if known is None else known.verdict
