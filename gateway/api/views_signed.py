"""Signed meter data as JSON; no logic."""

from collections.abc import Sequence
from typing import Any

from gateway.api import views
from gateway.store.signed import StoredFinding, StoredRecord


def session(
    stored: StoredFinding | None, records: Sequence[StoredRecord]
) -> dict[str, Any]:
    """What the signed records of a session prove, and they themselves."""
    if stored is None:
        return {
            "verdict": "unsigned",
            "reasons": [],
            "register_start_milliwh": None,
            "register_end_milliwh": None,
            "public_key": None,
            "checked_at": None,
            "records": [],
        }
    finding = stored.finding
    return {
        "verdict": finding.verdict.value,
        "reasons": list(finding.reasons),
        "register_start_milliwh": finding.register_start_milliwh,
        "register_end_milliwh": finding.register_end_milliwh,
        "public_key": None
        if stored.key is None
        else {"curve": stored.key[0], "public_key": stored.key[1]},
        "checked_at": views.time(stored.checked_at),
        "records": [record(one) for one in records],
    }


def record(one: StoredRecord) -> dict[str, Any]:
    """One record with its text: whoever has the key can check it."""
    return {
        "context": one.context,
        "text": one.text,
        "sha256": one.sha256,
        "reason": one.reason,
        "detail": one.detail,
        "curve": one.curve,
        "page": one.page,
        "meter_serial": one.meter_serial,
        "readings": one.readings,
    }
