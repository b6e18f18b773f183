"""Pinning the keys of meters: for the API and for the cockpit alike, always audited."""

import sqlite3
from typing import Final

from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.errors import RequestError
from gateway.services import signed_evidence
from gateway.services.meter_keys import MeterKey, MeterKeyError, parse_key
from gateway.services.settlement import Settlement
from gateway.services.stations import StationDirectory
from gateway.store import api_tokens, signed
from gateway.store.signed import PinnedKey
from gateway.store.writer import Writer

MAX_EVSE_ID: Final = 1_000
MAX_SERIAL_CHARS: Final = 300
MOST_JUDGED_AGAIN: Final = 1_000


class MeterKeyDesk:
    """Changes which keys are trusted. Loop thread only."""

    def __init__(
        self,
        *,
        directory: StationDirectory,
        writer: Writer,
        settlement: Settlement,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._writer = writer
        self._settlement = settlement
        self._clock = clock

    async def pin(
        self,
        station_id: str,
        evse_id: int,
        *,
        public_key: str,
        meter_serial: str | None,
        actor: str,
    ) -> PinnedKey:
        """Trust a key at an EVSE, and judge what is held there again.

        Args:
            station_id: A registered station.
            evse_id: From 1 on.
            public_key: In any spelling that `parse_key` reads.
            meter_serial: Records of any other meter are refused; ``None``: of none.
            actor: The token of who says so.

        Raises:
            RequestError: 404 unknown station; 422 no EVSE or no key.
            StoreError: Nothing was stored.
        """
        known = self._directory.require(station_id).station_id
        if not 1 <= evse_id <= MAX_EVSE_ID:
            raise RequestError(422, "bad_station", "EVSEs are numbered from 1 on")
        if meter_serial is not None and len(meter_serial) > MAX_SERIAL_CHARS:
            raise RequestError(422, "bad_public_key", "the serial number is too long")
        try:
            parsed = parse_key(public_key)
        except MeterKeyError as error:
            raise RequestError(422, "bad_public_key", str(error)) from error
        key = PinnedKey(
            curve=parsed.curve.value,
            point=parsed.point,
            meter_serial=meter_serial,
            pinned_at=self._clock.now(),
            pinned_by=actor,
        )

        def job(conn: sqlite3.Connection) -> None:
            signed.pin(conn, known, evse_id, key)
            signed_evidence.seal_pin(conn, known, evse_id, key)
            _audit(conn, known, evse_id, key, parsed)

        await self._writer.run(job)
        await self._judge_again(known, evse_id)
        return key

    async def withdraw(self, station_id: str, evse_id: int, *, actor: str) -> None:
        """Trust no key at an EVSE any more; what was found good stays so.

        Raises:
            RequestError: 404 unknown station, or no key is pinned there.
            StoreError: Nothing was stored.
        """
        known = self._directory.require(station_id).station_id
        now = self._clock.now()

        def job(conn: sqlite3.Connection) -> bool:
            if not signed.unpin(conn, known, evse_id):
                return False
            signed_evidence.seal_withdrawal(conn, known, evse_id, actor=actor, now=now)
            api_tokens.audit(
                conn,
                at=now,
                actor=actor,
                action="meter_key.withdrawn",
                subject=f"station/{known}",
                detail={"evse_id": evse_id},
            )
            return True

        if not await self._writer.run(job):
            raise RequestError(404, "no_meter_key", "no key is pinned at this EVSE")

    async def _judge_again(self, station_id: StationId, evse_id: int) -> None:
        held = await self._writer.run(
            lambda conn: signed.held_at(conn, station_id, evse_id, MOST_JUDGED_AGAIN)
        )
        for session_id in held:
            await self._settlement.settle(session_id)


def _audit(
    conn: sqlite3.Connection,
    station_id: StationId,
    evse_id: int,
    key: PinnedKey,
    parsed: MeterKey,
) -> None:
    api_tokens.audit(
        conn,
        at=key.pinned_at,
        actor=key.pinned_by,
        action="meter_key.pinned",
        subject=f"station/{station_id}",
        detail={
            "evse_id": evse_id,
            "meter_serial": key.meter_serial,
            "curve": key.curve,
            "public_key": key.point,
            "fingerprint": parsed.fingerprint,
        },
    )
