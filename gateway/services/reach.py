"""How stations are reached, and what of it follows from their last boot.

A rejected station is sent nothing (2.0.1, B03.FR.03), one that is not accepted yet only
what an operator asks for (B02.FR.01); what we ask it to send, it may send although it
is not accepted (B02.FR.02). Reports are noted before they are asked for, so that no
page of theirs comes too early.
"""

from collections.abc import Mapping
from typing import Final

from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.errors import CallRefused, NotConnected, RequestError
from gateway.ocpp import device_words
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.rpc import CallPriority
from gateway.services.ingest import StationContext
from gateway.services.station_port import OnLate, Stations
from gateway.services.stations import StationDirectory
from gateway.store import reports
from gateway.store.pages import take_over
from gateway.store.stations import StationRow
from gateway.store.writer import Writer

REJECTED: Final = "Rejected"


class Reach:
    """The way to stations for every service. Loop thread only."""

    def __init__(
        self,
        *,
        wires: Stations,
        directory: StationDirectory,
        writer: Writer,
        clock: Clock,
    ) -> None:
        self._wires = wires
        self._directory = directory
        self._writer = writer
        self._clock = clock
        self._contexts: dict[StationId, StationContext] = {}

    def connected(self, context: StationContext) -> None:
        """A station has a new connection."""
        self._contexts[context.station_id] = context

    def context(self, station_id: StationId) -> StationContext | None:
        """What the ingest knows of its newest connection."""
        return self._contexts.get(station_id)

    def adapter(self, station_id: StationId) -> Adapter | None:
        """The dialect a connected station speaks."""
        return self._wires.adapter(station_id)

    def epoch_of(self, station_id: StationId) -> int | None:
        """The number of its connection; ``None`` without one."""
        return self._wires.epoch_of(station_id)

    def is_online(self, station_id: StationId) -> bool:
        """Whether it is connected and accepted: managing it may begin."""
        context = self._contexts.get(station_id)
        return self._wires.is_online(station_id) and (
            context is None or context.is_accepted
        )

    def check(self, station_id: StationId) -> None:
        """Refuse what an operator may not send now.

        Raises:
            RequestError: 409 its last boot was rejected.
        """
        if self._is_rejected(station_id):
            raise RequestError(
                409, "boot_rejected", f"{station_id} is rejected: it is sent nothing"
            )

    async def call(
        self,
        station_id: StationId,
        command: Command,
        *,
        timeout_s: float,
        priority: CallPriority = CallPriority.OTHER,
        on_late: OnLate | None = None,
        epoch: int | None = None,
    ) -> Mapping[str, object]:
        """Send a command and wait for the answer; see `Stations.call`.

        Raises:
            CallFailed: No result came; of a rejected station none can.
        """
        if self._is_rejected(station_id):
            raise NotConnected(f"{station_id} is rejected: it is sent nothing")
        context = self._contexts.get(station_id)
        if context is not None:
            context.expected |= device_words.expects(command)
        request = _request(station_id, command)
        if request is None:
            return await self._wires.call(
                station_id,
                command,
                timeout_s=timeout_s,
                priority=priority,
                on_late=on_late,
                epoch=epoch,
            )
        now = self._clock.now()
        await self._writer.run(lambda conn: reports.ask(conn, request, now))
        try:
            answer = await self._wires.call(
                station_id,
                command,
                timeout_s=timeout_s,
                priority=priority,
                on_late=on_late,
                epoch=epoch,
            )
        except CallRefused as error:
            await self._answered(request, error.code)
            raise
        await self._answered(request, str(answer.get("status")))
        return answer

    async def _answered(self, request: reports.Request, status: str) -> None:
        now = self._clock.now()
        await self._writer.run(
            lambda conn: reports.close(
                conn,
                request,
                status,
                now,
                will_follow=status == device_words.ACCEPTED,
                is_empty=device_words.is_empty(status),
                take_over=take_over,
            )
        )

    def _is_rejected(self, station_id: StationId) -> bool:
        """Rejected at its last boot, and an operator has not decided otherwise since.

        Then it may be told to boot again (test case TC_B_31).
        """
        context = self._contexts.get(station_id)
        if context is None or context.boot_answer != REJECTED:
            return False
        entry = self._directory.find(station_id)
        return entry is None or entry.registration == REJECTED


def likely_answer(entry: StationRow) -> str | None:
    """What the last boot of a station was answered, when it has a new connection."""
    if entry.booted_at is None or entry.accepted_at is not None:
        return None
    return entry.registration if entry.registration != "Accepted" else None


def _request(station_id: StationId, command: Command) -> reports.Request | None:
    asked = device_words.report_asked(command)
    if asked is None:
        return None
    return reports.Request(
        station_id=station_id,
        kind=reports.Kind(asked.kind),
        request_id=asked.request_id,
        base=asked.base,
        is_whole=asked.is_whole,
        asked=asked.asked,
    )
