"""A bill as JSON for whoever must check it by hand; the stored members stay as are."""

from datetime import datetime
from typing import Any, Final

from gateway.domain.bill_facts import BillFacts
from gateway.domain.bill_sums import (
    VOLUME_UNITS,
    Amount,
    Charge,
    Sums,
    TaxRow,
    decimal_text,
    minor_text,
    percent_text,
    sums,
)
from gateway.domain.bill_words import SIGNATURES, told, verdict_text
from gateway.domain.rates import major_units
from gateway.domain.signed_session import SignedVerdict
from gateway.domain.tariff import utc_text

_SIGNATURE_STATES: Final = {
    SignedVerdict.OK: "verified",
    SignedVerdict.UNSIGNED: "unsigned",
    SignedVerdict.UNVERIFIED: "unverified",
    SignedVerdict.FAILED: "failed",
}


def bill_json(facts: BillFacts) -> dict[str, Any]:
    """All of a bill; amounts are decimal texts in major units unless named ``minor``.

    ``is_final`` is false while it is held: then every amount is a proposal, and
    nothing is owed. Nothing is owed of a waived bill either, for good.
    """
    document = {} if facts.document is None else dict(facts.document)
    return {
        **document,
        "kind": "bill",
        "is_final": facts.is_final,
        "verdict_text": verdict_text(facts.verdict),
        "reasons_text": told(facts.reasons),
        "session": _session(facts),
        "charges": [],
        "totals": None,
        **_sums(facts),
        "registers": _registers(facts),
        "meter": _meter(facts),
        "tariff": None if facts.tariff is None else facts.tariff.snapshot(),
        "bill_sha256": facts.sha256,
        "decided_by": facts.decided_by,
        "settlement": _settlement(facts),
        "links": _links(facts),
    }


def _session(facts: BillFacts) -> dict[str, Any]:
    return {
        "station_id": facts.station_id,
        "evse_id": facts.evse_id,
        "connector_id": facts.connector_id,
        "id_token": facts.id_token,
        "started_at": None if facts.started_at is None else utc_text(facts.started_at),
        "ended_at": None if facts.ended_at is None else utc_text(facts.ended_at),
        "stop_reason": facts.stop_reason,
    }


def _sums(facts: BillFacts) -> dict[str, Any]:
    if facts.document is None or facts.tariff is None:
        return {}
    found = sums(facts.document, facts.tariff)
    return {
        "charges": [_charge(one, found) for one in found.charges],
        "totals": _totals(found),
    }


def _charge(charge: Charge, found: Sums) -> dict[str, Any]:
    component = charge.component
    counted_in, unit = VOLUME_UNITS[component.dimension]
    rate = component.vat_ppm
    return {
        "type": component.dimension.value,
        "unit": unit,
        "volume": decimal_text(charge.in_units(charge.volume), 0),
        "billed_volume": decimal_text(charge.in_units(charge.billed), 0),
        "volume_exact": charge.volume,
        "billed_volume_exact": charge.billed,
        "volume_exact_unit": counted_in,
        "price": f"{major_units(component.price_micro):f}",
        "price_includes_vat": rate is None,
        "vat_percent": None if rate is None else percent_text(rate),
        **_amount(charge.amount.shown, found.minor_digits),
    }


def _totals(found: Sums) -> dict[str, Any]:
    digits = found.minor_digits
    return {
        "currency": found.currency,
        "bound": _amount(found.bound, digits),
        "rounding": _amount(found.rounding, digits),
        "net": minor_text(found.net_minor, digits),
        "vat": minor_text(found.vat_minor, digits),
        "gross": minor_text(found.amount_minor, digits),
        "vat_rates": [_tax(one, digits) for one in found.taxes],
    }


def _tax(row: TaxRow, digits: int) -> dict[str, Any]:
    return {
        "vat_percent": None if row.vat_ppm is None else percent_text(row.vat_ppm),
        "is_bound": row.is_bound,
        "net": minor_text(row.net_minor, digits),
        "vat": minor_text(row.vat_minor, digits),
        "gross": minor_text(row.gross_minor, digits),
    }


def _amount(amount: Amount, digits: int) -> dict[str, str]:
    return {
        "net": decimal_text(amount.net, digits),
        "vat": decimal_text(amount.vat, digits),
        "gross": decimal_text(amount.gross, digits),
    }


def _registers(facts: BillFacts) -> list[dict[str, Any]]:
    """Those that are billed, ``start`` and ``end``, and all sampled between them."""
    document, edges = facts.document, list[tuple[str, datetime, int]]()
    if document is not None and facts.started_at and facts.ended_at:
        start, end = (
            int(document[f"register_{edge}_milliwh"]) for edge in ("start", "end")
        )
        edges = [("start", facts.started_at, start), ("end", facts.ended_at, end)]
    billed = [
        {
            "role": role,
            "at": utc_text(at),
            "register_milliwh": milliwh,
            "context": None,
            "leaf_index": None,
        }
        for role, at, milliwh in edges
    ]
    sampled = [
        {
            "role": "sample",
            "at": utc_text(one.at),
            "register_milliwh": one.milliwh,
            "context": one.context,
            "leaf_index": one.leaf_index,
        }
        for one in facts.registers
    ]
    return [*billed[:1], *sampled, *billed[1:]]


def _meter(facts: BillFacts) -> dict[str, Any]:
    found = facts.signature
    key = found.key
    return {
        "serial": facts.meter_serial,
        "signature": {
            "state": _SIGNATURE_STATES[found.verdict],
            "text": SIGNATURES[found.verdict],
            "is_by_pinned_key": found.verdict is SignedVerdict.OK,
            "reasons_text": told(found.reasons),
            "records": found.n_record,
            "pinned_key": None
            if key is None
            else {"curve": key[0], "public_key": key[1]},
            "checked_at": None
            if found.checked_at is None
            else utc_text(found.checked_at),
        },
    }


def _settlement(facts: BillFacts) -> dict[str, Any] | None:
    if not facts.is_settled:
        return None
    chain = facts.chain
    return {
        "leaf_index": facts.leaf_index,
        "session_key": facts.session_key,
        "chain_state": None if chain is None else chain.state,
        "tx_hash": None if chain is None else chain.tx_hash,
        "block": None if chain is None else chain.block,
    }


def _links(facts: BillFacts) -> dict[str, str | None]:
    base = f"/api/v1/sessions/{facts.session_id}"
    settled = {"receipt": f"{base}/receipt", "cdr": f"{base}/cdr"}
    has_proof = facts.signature.verdict is SignedVerdict.OK
    return {
        "pdf": f"{base}/bill.pdf",
        "page": f"/bills/{facts.session_id}",
        "readings": f"{base}/readings",
        "signed_data": f"{base}/signed-data.xml" if has_proof else None,
        **(settled if facts.is_settled else dict.fromkeys(settled)),
    }
