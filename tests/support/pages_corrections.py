"""Bills to decide on behind the pages: a held one, a settled one with late data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.errors import RequestError, StoreError

EVIL: Final = '<script>document.title="owned"</script>'
HELD: Final = "s-held"
UNPRICED: Final = "s-unpriced"
SETTLED: Final = "s-settled"
WAIVED: Final = "s-waived"
BROKEN: Final = "s-broken"
MONEY: Final = {"currency": "EUR", "minor_digits": 2}
PLACE: Final = {
    "station_id": "YARD-01",
    "evse_id": 1,
    "ended_at": "2026-06-15T12:00:00.000000Z",
}


def bill(state: str, **changes: Any) -> dict[str, Any]:
    """As `gateway.services.receipts.Receipts.bill` gives it."""
    return {
        **MONEY,
        "session_id": SETTLED,
        "session": PLACE,
        "state": state,
        "verdict": "suspicious",
        "reasons": ["amended", EVIL],
        "energy_milliwh": 12_345_678,
        "register_start_milliwh": 1_000_000,
        "register_end_milliwh": 13_345_678,
        "amount_minor": 1234,
        "credits": [],
        "balance_minor": None,
        "decision": None,
        "proposal": None,
        **changes,
    }


def proposal(session_id: str, difference_minor: int | None) -> dict[str, Any]:
    """As `gateway.services.bill_view.proposal_json` gives it."""
    is_priced = difference_minor is not None
    return {
        **PLACE,
        "session_id": session_id,
        "reasons": ["amended", EVIL],
        "amount_minor": 1000 if is_priced else None,
        "difference_minor": difference_minor,
        "currency": "EUR",
        "found": dict(MONEY) if is_priced else None,
        "state": "open",
    }


CREDIT: Final = {
    "credit_id": "C000001",
    "state": "on_chain",
    "amount_minor": 34,
    "reason": EVIL,
}
DECISION: Final = {"decision": "waived", "reason": EVIL, "decided_by": "t1"}


@dataclass
class FakeCorrections:
    """Implements `gateway.web.ports.CorrectionDesk`; remembers what was done."""

    done: list[tuple[str, Mapping[str, str], str]] = field(default_factory=list)
    is_calm: bool = False

    async def bill(self, session_id: str) -> Mapping[str, Any]:
        if session_id == BROKEN:
            raise StoreError("gone")
        found = {
            HELD: bill("held", session_id=HELD),
            UNPRICED: bill(
                "held", session_id=UNPRICED, amount_minor=None, energy_milliwh=None
            ),
            SETTLED: bill(
                "on_chain",
                balance_minor=1200,
                credits=[CREDIT],
                proposal=proposal(SETTLED, 200),
            ),
            WAIVED: bill(
                "waived", session_id=WAIVED, balance_minor=0, decision=DECISION
            ),
        }.get(session_id)
        if found is None:
            raise RequestError(404, "no_bill", "the session has no bill yet")
        return found

    async def waiting(self) -> Mapping[str, Any]:
        if self.is_calm:
            return {"held": [], "proposals": []}
        held = {
            **MONEY,
            **PLACE,
            "session_id": HELD,
            "amount_minor": 1234,
            "reasons": ["amended", EVIL],
        }
        unpriced = {"session_id": UNPRICED, "amount_minor": None, "ended_at": None}
        return {
            "held": [held, {**held, **unpriced}],
            "proposals": [
                proposal(SETTLED, 200),
                proposal("s-less", -15),
                proposal("s-none", None),
            ],
        }

    async def act(self, session_id: str, form: Mapping[str, str], actor: str) -> None:
        if form["reason"] == "refuse":
            raise RequestError(409, "above_proposal", "it is <too> high")
        self.done.append((session_id, form, actor))
