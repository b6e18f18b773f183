"""The cockpit's forms of corrections: what people type becomes exact numbers."""

import asyncio
import sqlite3
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from gateway.domain.ids import SessionId
from gateway.domain.tariff_terms import MILLIWH_PER_KWH
from gateway.errors import RequestError
from gateway.services import bill_view
from gateway.services.corrections import Corrections
from gateway.services.crediting import Credit
from gateway.services.decisions import Correction
from gateway.services.receipts import Receipts
from gateway.services.settlement import Settlement
from gateway.services.stated import MAX_REGISTER_MILLIWH, Stated
from gateway.store import corrections, money, sessions
from gateway.store.queries import Queries
from gateway.store.times import optional_text

MAX_LISTED: Final = 200
MIN_REASON: Final = 3
MAX_REASON: Final = 500
MAX_AMOUNT_MINOR: Final = 2**53
MAX_DIGITS: Final = 20


class CorrectionForms:
    """Shows what can be decided, and does what a form says; audited like the API.

    Args:
        queries: Reads the store.
        desk: Corrects and credits.
        settlement: Releases.
        receipts: Knows the bills.
    """

    def __init__(
        self,
        *,
        queries: Queries,
        desk: Corrections,
        settlement: Settlement,
        receipts: Receipts,
    ) -> None:
        self._queries = queries
        self._desk = desk
        self._settlement = settlement
        self._receipts = receipts

    async def bill(self, session_id: str) -> Mapping[str, Any]:
        """A bill with all its corrections, see `Receipts.bill`; and its ``session``.

        Raises:
            RequestError: 404 there is none.
            StoreError: It cannot be read now.
        """
        found = await self._receipts.bill(SessionId(session_id))
        place = await asyncio.to_thread(
            self._queries.read_now, lambda conn: _place(conn, session_id)
        )
        return {**found, "session": place}

    async def waiting(self) -> Mapping[str, Any]:
        """What waits for somebody: ``held`` bills and open ``proposals``.

        Raises:
            StoreError: They cannot be read now.
        """
        return await asyncio.to_thread(self._queries.read_now, _waiting)

    async def act(self, session_id: str, form: Mapping[str, str], actor: str) -> None:
        """Do what a form says: its ``act``, with ``reason`` and numbers.

        Numbers are kWh and major units of the currency, with a point or a comma.

        Raises:
            RequestError: It cannot be done; the message is for the operator.
            StoreError: It could not be stored.
        """
        mine = SessionId(session_id)
        match form.get("act"):
            case "release":
                await self._settlement.release(mine, actor, _seen(form))
            case "correct":
                wish = Correction(
                    stated=_stated(form),
                    amount_minor=await self._amount(mine, form),
                    reason=_reason(form),
                )
                await self._desk.correct(mine, wish, actor)
            case "waive":
                await self._desk.waive(mine, _reason(form), actor)
            case "credit":
                credit = Credit(
                    amount_minor=await self._amount(mine, form),
                    stated=_stated(form),
                    reason=_reason(form),
                    idempotency_key=f"form {form.get('key', '')}"[:128],
                )
                await self._desk.credit(mine, credit, actor)
            case "accept":
                await self._desk.accept(mine, actor)
            case "dismiss":
                await self._desk.dismiss(mine, _reason(form), actor)
            case _:
                raise RequestError(422, "nothing_said", "the form says nothing to do")

    async def _amount(
        self, session_id: SessionId, form: Mapping[str, str]
    ) -> int | None:
        if not form.get("amount", "").strip():
            return None
        bill = await self._receipts.bill(session_id)
        scale = 10 ** int(str(bill.get("minor_digits", 2)))
        return _exact(form, "amount", scale, MAX_AMOUNT_MINOR)


def _waiting(conn: sqlite3.Connection) -> dict[str, Any]:
    held = []
    for session_id in corrections.held_bills(conn, MAX_LISTED):
        row = money.find_bill(conn, session_id)
        if row is not None:
            held.append(
                {
                    **_place(conn, row.session_id),
                    "reasons": list(row.reasons),
                    "amount_minor": row.amount_minor,
                    "currency": row.currency,
                    "minor_digits": (row.document or {}).get("minor_digits", 2),
                }
            )
    late = bill_view.all_proposals(conn, is_open=True, limit=MAX_LISTED)
    proposals = [{**one, **_place(conn, str(one["session_id"]))} for one in late]
    return {"held": held, "proposals": proposals}


def _place(conn: sqlite3.Connection, session_id: str) -> dict[str, Any]:
    """What people know a session by: where it was, and when it ended."""
    session = sessions.by_id(conn, SessionId(session_id))
    assert session is not None, "it has a bill"
    return {
        "session_id": session_id,
        "station_id": session.station_id,
        "evse_id": session.evse_id,
        "ended_at": optional_text(session.ended_at),
    }


def _seen(form: Mapping[str, str]) -> int | None:
    """The amount of the proposal that the page showed, in minor units."""
    return _exact(form, "seen", 1, MAX_AMOUNT_MINOR)


def _stated(form: Mapping[str, str]) -> Stated:
    scale, most = MILLIWH_PER_KWH, MAX_REGISTER_MILLIWH
    return Stated(
        register_start_milliwh=_exact(form, "start_kwh", scale, most),
        register_end_milliwh=_exact(form, "end_kwh", scale, most),
        energy_milliwh=_exact(form, "energy_kwh", scale, most),
    )


def _reason(form: Mapping[str, str]) -> str:
    reason = form.get("reason", "").strip()
    if not MIN_REASON <= len(reason) <= MAX_REASON:
        raise RequestError(422, "no_reason", "say why, in 3 to 500 characters")
    return reason


def _exact(form: Mapping[str, str], name: str, scale: int, most: int) -> int | None:
    """A typed number times ``scale``, which must be whole; ``None`` for none."""
    text = form.get(name, "").strip()
    if not text:
        return None
    plain = text.replace(",", ".")
    if len(plain) > MAX_DIGITS or not plain.replace(".", "", 1).isdecimal():
        raise RequestError(422, "not_a_number", f"{text!r} is no number")
    try:
        scaled = Decimal(plain) * scale
    except InvalidOperation:
        raise RequestError(422, "not_a_number", f"{text!r} is no number") from None
    if scaled != scaled.to_integral_value() or scaled > most:
        raise RequestError(422, "not_a_number", f"{text!r} is too large or too fine")
    return int(scaled)
