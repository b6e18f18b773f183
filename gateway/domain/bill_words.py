"""The words of verdicts and reasons, for whoever must decide about a held bill."""

from collections.abc import Iterable
from typing import Final

from gateway.domain.signed_session import SignedVerdict

VERDICTS: Final = {
    "ok": "The registers are good and signed by the meter.",
    "ok-unsigned": "The registers are good; the meter did not sign them.",
    "reconstructed": "A part of the session was missing and was put together from"
    " other readings.",
    "suspicious": "The readings contradict each other or cannot be right.",
    "unbillable": "There are no registers to bill.",
}

REASONS: Final = {
    "amended": "A second end with other registers came later.",
    "amended_start": "A second start with other registers came later.",
    "register_drop": "A register fell within the session.",
    "end_below_start": "The last register is below the first.",
    "faster_than_rated": "It is more energy than the EVSE can deliver in that time.",
    "sample_outside_registers": "A sample lies outside the first and last register.",
    "sample_outside_session": "A sample lies outside the time of the session.",
    "clock_unset": "The station's clock was never set.",
    "ends_before_start": "By the station's clock the session ends before it starts.",
    "superseded": "Another session began at the EVSE before this one ended.",
    "ended_by_operator": "An operator ended the session.",
    "matched_by_place": "The end named no known transaction; station and connector"
    " told which it is.",
    "no_start": "The start of the session was never received.",
    "no_start_register": "The start has no register; the lowest sample counts.",
    "placeholder_start": "The register of the start is a placeholder; the lowest"
    " sample counts.",
    "start_from_previous": "The start is missing; the register at which the session"
    " before ended counts.",
    "no_end_register": "The end has no register; the last sample counts.",
    "placeholder_end": "The register of the end is a placeholder; the last sample"
    " counts.",
    "no_register": "There is no register at all.",
    "incomplete": "Messages of the session are missing; its registers are complete.",
    "missing_energy": "Energy was drawn between the session before and this one.",
    "no_tariff": "The session was promised no tariff.",
    "no_price": "The tariff has no price for some of the session.",
    "not_priced": "Times or registers of the session cannot be priced.",
    "no_registers": "There are no registers that could be billed.",
    "clock_offset": "The station's clock is off, and a price changes within that"
    " offset.",
    "register_unit": "The registers of this station are in another unit than they say.",
    "register_against_power": "The power and the registers of the session contradict"
    " each other.",
    "signed_energy_differs": "Signed and unsigned registers differ.",
    "signature_wrong": "The pinned key did not make the signature.",
    "signature_of_other_curve": "The signature is on another curve than the pinned"
    " key.",
    "meter_key_changed": "A record came with another key than the pinned one.",
    "meter_serial_not_pinned": "A record is of another meter than the pinned one.",
    "signed_serial_differs": "The records are of several meters.",
    "signed_page_missing": "A page of the signed records is missing.",
    "signed_page_repeated": "A page number of the signed records came twice.",
    "signed_record_reused": "Another session was billed by the same signed record.",
    "signed_meter_error": "The meter itself flags an error.",
    "signed_register_falls": "The signed register falls.",
    "signed_out_of_order": "The signed readings are out of order.",
    "signed_several_begins": "There are several signed begins.",
    "signed_several_ends": "There are several signed ends.",
    "signed_hostile_xml": "The signed data is XML that no honest meter sends.",
    "meter_key_not_pinned": "The session is signed, but no operator has pinned the"
    " meter's key.",
    "signed_no_begin": "The begin is not among the signed records.",
    "signed_no_end": "The end is not among the signed records.",
    "signed_no_import_register": "No signed register is one of imported energy.",
    "signed_format": "The signed data is in a format that is not known here.",
    "signed_bad_json": "The signed data is broken JSON.",
    "signed_bad_xml": "The signed data is broken XML.",
    "signed_too_large": "The signed data is too large.",
    "too_many_records": "There are too many signed records.",
    "ocmf_bad_payload": "The OCMF payload breaks its specification.",
    "ocmf_bad_pagination": "The OCMF page number breaks its specification.",
    "ocmf_bad_readings": "The OCMF readings break their specification.",
    "ocmf_no_signature": "An OCMF record has no signature.",
    "algorithm_unsupported": "It is signed by a method that OCMF does not name.",
    "several_prices": "More than one price applies, and no certified meter split the"
    " energy.",
    "time_priced": "Time has a price, and no certified clock measured it.",
    "group_tariff_late": "The token came after another tariff than its group's was"
    " promised.",
    "paused_by_limit": "Parking has a price, and our own limit kept the car from"
    " charging for some of it.",
}

SIGNATURES: Final = {
    SignedVerdict.OK: "Begin and end are signed by the meter, and the signatures are"
    " those of the key that an operator pinned to it.",
    SignedVerdict.UNSIGNED: "The meter sent no signed records.",
    SignedVerdict.UNVERIFIED: "There are signed records, but they do not suffice.",
    SignedVerdict.FAILED: "A signed record is forged, broken or of another meter.",
}


def verdict_text(verdict: str) -> str:
    """A verdict in words."""
    return VERDICTS.get(verdict, verdict)


def reason_text(reason: str) -> str:
    """A reason in words; the word itself, spelled out, where there are none."""
    return REASONS.get(reason, f"{reason.replace('_', ' ').capitalize()}.")


def told(reasons: Iterable[str]) -> list[dict[str, str]]:
    """Reasons with their words, in order."""
    return [{"reason": one, "text": reason_text(one)} for one in reasons]
