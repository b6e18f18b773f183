"""Everything about one station for those who look after it, in one picture."""

import asyncio
from collections import OrderedDict
from datetime import datetime
from functools import partial
from typing import Any, Final

from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.domain.obedience_plan import ObediencePlan
from gateway.errors import RequestError
from gateway.services.certificates import CertificateRecords
from gateway.services.commands import CALLS, LIMITS, CommandFilter, Commands
from gateway.services.meter_key_rows import meter_keys_of
from gateway.services.overview import Overview
from gateway.store import commissioning, deviations, local_lists
from gateway.store.commissioning import TestRecord
from gateway.store.queries import Queries
from gateway.store.records import Reservation
from gateway.store.times import optional_text, to_text

View = dict[str, Any]

FRESH_S: Final = 1.5
"""Real seconds for which one reading serves all who look."""
MAX_KEPT: Final = 100
MAX_DEVIATIONS: Final = 50
MAX_CALLS: Final = 20
MAX_LIMITS: Final = 5
MAX_RESERVATIONS: Final = 10
MAX_REFUSED: Final = 5
MAX_ORPHANS: Final = 5
MAX_TESTS: Final = 5

_DEVIATION: Final = (
    *("kind", "action", "path", "messages", "first_seen_at", "last_seen_at"),
    *("detail", "offset"),
)


class StationFacts:
    """Reads what the store and the links know of a station. Loop thread only."""

    def __init__(
        self,
        *,
        overview: Overview,
        queries: Queries,
        certificates: CertificateRecords,
        clock: Clock,
    ) -> None:
        self._overview = overview
        self._queries = queries
        self._certificates = certificates
        self._commands = Commands(queries)
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, View]] = OrderedDict()

    async def view(self, station_id: str) -> View | None:
        """A station as ``gateway.web.ports.LiveView.station`` says; ``None``: unknown.

        At most `FRESH_S` old; while several look at once it is read once.

        Raises:
            StoreError: The store cannot be read now.
        """
        now_s = asyncio.get_running_loop().time()
        kept = self._kept.get(station_id)
        if kept is not None and now_s - kept[0] < FRESH_S:
            return kept[1]
        try:
            station = await self._overview.station(StationId(station_id))
        except RequestError:
            self._kept.pop(station_id, None)
            return None
        found = station | await self._more(StationId(station["station_id"]))
        self._kept[station_id] = (now_s, found)
        self._kept.move_to_end(station_id)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return found

    async def _more(self, station_id: StationId) -> View:
        deviating = await self._queries.rows(
            deviations.OF_STATION, (station_id, MAX_DEVIATIONS)
        )
        refused = await self._queries.refused_frames(station_id, limit=MAX_REFUSED)
        orphans = await self._queries.orphans(station_id, limit=MAX_ORPHANS)
        plan = partial(commissioning.plan_of, station_id=station_id)
        tested = partial(commissioning.history, station_id=station_id, limit=MAX_TESTS)
        return {
            "now": to_text(self._clock.now()),
            "deviations": [
                dict(zip(_DEVIATION, row, strict=True)) for row in deviating
            ],
            "refused": [
                {
                    "received_at": optional_text(one.received_at),
                    "action": one.action,
                    "error": one.error_kind,
                    "description": one.description,
                }
                for one in refused
            ],
            "orphans": [
                {
                    "occurred_at": optional_text(one.occurred_at),
                    "kind": one.kind,
                    "transaction_id": one.transaction_id,
                    "register_milliwh": one.register_milliwh,
                    "reason": one.reason,
                }
                for one in orphans
            ],
            "test_plan": _test_plan(self._queries.read_now(plan)),
            "tests": [_test(one) for one in self._queries.read_now(tested)],
            "commands": await self._commands.find(
                CommandFilter(station_id=station_id, kind=CALLS), limit=MAX_CALLS
            ),
            "limits": await self._commands.find(
                CommandFilter(station_id=station_id, kind=LIMITS), limit=MAX_LIMITS
            ),
            "reservations": await self._reservations(station_id),
            "local_list": await self._local_list(station_id),
            "certificates": await self._certificates_of(station_id),
            "meter_keys": self._queries.read_now(
                partial(meter_keys_of, station_id=station_id)
            ),
        }

    async def _reservations(self, station_id: StationId) -> list[View]:
        now = self._clock.now()
        found = await self._queries.reservations(station_id)
        return [
            {
                "reservation_id": one.reservation_id,
                "evse_id": one.evse_id,
                "id_token": one.id_token,
                "expires_at": optional_text(one.expires_at),
                "status": "Expired" if _has_lapsed(one, now) else one.status,
            }
            for one in found[:MAX_RESERVATIONS]
        ]

    async def _local_list(self, station_id: StationId) -> View | None:
        found = await self._queries.rows(local_lists.ROW, (station_id,))
        if not found:
            return None
        row = local_lists.of_row(found[0])
        return {
            "version": row.version,
            "state": row.state.value,
            "detail": row.detail,
            "left_out": row.left_out,
            "changed_at": optional_text(row.changed_at),
        }

    async def _certificates_of(self, station_id: StationId) -> list[View]:
        """What we signed for it, and what it last said that it holds."""
        issued = await self._certificates.issued_to(station_id)
        held = await self._certificates.held_by(station_id)
        return [
            {
                "type": row.use.value,
                "source": "issued",
                "serial": row.serial,
                "status": row.status,
                "not_after": optional_text(row.not_after),
                "at": optional_text(row.changed_at),
            }
            for row in issued
        ] + [
            {
                "type": one.entry.kind.value,
                "source": "station",
                "serial": one.entry.hash.serial_number,
                "status": "installed",
                "not_after": None
                if one.known is None
                else optional_text(one.known.not_valid_after_utc),
                "at": optional_text(one.told_at),
            }
            for one in held
        ]


def _test_plan(plan: ObediencePlan | None) -> View | None:
    if plan is None:
        return None
    return {
        "due_at": optional_text(plan.due_at),
        "window": plan.window,
        "every_days": plan.every_days,
        "restart": plan.restart,
        "outage_s": plan.outage_s,
    }


def _test(one: TestRecord) -> View:
    return {
        "started_at": optional_text(one.started_at),
        "cause": one.cause.value,
        "firmware": one.firmware,
        "is_proven": one.is_proven,
        "trouble": one.trouble,
        "steps": list(one.steps),
    }


def _has_lapsed(one: Reservation, now: datetime) -> bool:
    """It expires on the minute, not when housekeeping comes by."""
    return one.status == "Reserved" and one.expires_at <= now
