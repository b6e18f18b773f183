"""Offers a limit to cars that say what they need (2.0.1, K15 to K17).

The answer says only that an offer comes; the offer is a limit for the session, sent
right after: from the plan where the EVSE belongs to a cabinet, else its rating. The
car's own schedule is compared with the offer; one above it is rejected and the offer
sent anew.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from gateway.clock import Clock
from gateway.domain.assets import Evse, Station
from gateway.domain.charging_needs import CarNeeds, exceeds
from gateway.domain.ids import EvseRef, StationId
from gateway.domain.limits import (
    LimitSchedule,
    LimitStep,
    Purpose,
    SetLimit,
)
from gateway.domain.session import Session
from gateway.domain.topology import Site
from gateway.errors import CallFailed
from gateway.ocpp.adapter import CallOutcome
from gateway.ocpp.inquiries import (
    ChargingNeedsAnswered,
    ChargingNeedsTold,
    EvScheduleAnswered,
    EvScheduleTold,
    NeedsStatus,
)
from gateway.ocpp.rpc import CallPriority
from gateway.services.dispatch_ports import SessionRequest
from gateway.services.group_limits import SESSION_PROFILE_ID
from gateway.services.inquiries import Found
from gateway.services.needs import Needs
from gateway.services.station_port import Stations
from gateway.services.wishes import unit_of

SOURCE: Final = "car"
"""Who said so, in the record of a session's need."""
SLOW_CLOCK: Final = timedelta(seconds=60)
"""An offer begins so long ago, or it lies in the future of a slow clock."""

_log = structlog.get_logger()


class Offers(Protocol):
    """What is sent for sessions in cabinets (``services.dispatch``)."""

    def offer(self, ref: EvseRef) -> LimitSchedule | None:
        """The limit sent last."""
        ...

    async def can_offer(self, ref: EvseRef) -> bool:
        """Whether limits of ours are sent for its sessions."""
        ...

    def offer_again(self, ref: EvseRef) -> None:
        """Send its limit, changed or not."""
        ...


class Sessions(Protocol):
    """What is asked of the store."""

    async def open_sessions(self, station_id: str | None = None) -> list[Session]:
        """Sessions that are running."""
        ...

    async def session_request(self, session_id: str) -> SessionRequest | None:
        """What was asked for a session."""
        ...


class ChargingNeeds:
    """Answers cars. Loop thread only."""

    def __init__(
        self,
        *,
        site: Callable[[], Site],
        sessions: Sessions,
        needs: Needs,
        offers: Offers,
        stations: Stations,
        clock: Clock,
        call_timeout_s: float,
    ) -> None:
        self._site = site
        self._sessions = sessions
        self._needs = needs
        self._offers = offers
        self._stations = stations
        self._clock = clock
        self._call_timeout_s = call_timeout_s

    async def told(self, station_id: StationId, told: ChargingNeedsTold) -> Found:
        """Take a car's needs; an offer follows the answer.

        Without a transaction there is nothing that a limit could be sent for; where
        only advice is given, and to a station that is not managed, nothing is sent.
        """
        session = await self._session_at(station_id, told.evse.evse_id)
        follow = None if session is None else await self._follow(told.evse, session)
        if session is None or follow is None:
            rejected = ChargingNeedsAnswered(status=NeedsStatus.REJECTED)
            return Found(finding=rejected)
        await self._note(session, told.needs)
        accepted = ChargingNeedsAnswered(status=NeedsStatus.ACCEPTED)
        return Found(finding=accepted, then=follow)

    async def scheduled(self, station_id: StationId, told: EvScheduleTold) -> Found:
        """Compare a car's schedule with its offer; above it: rejected, offered anew."""
        evse = self._site().evse(station_id, told.evse.evse_id)
        session = await self._session_at(station_id, told.evse.evse_id)
        if evse is None or session is None:
            return Found(finding=EvScheduleAnswered(is_accepted=False))
        now = self._clock.now()
        offer = self._offers.offer(told.evse) or rating_of(evse, now)
        if not exceeds(told.schedule, offer, evse, now):
            return Found(finding=EvScheduleAnswered(is_accepted=True))
        return Found(
            finding=EvScheduleAnswered(is_accepted=False),
            then=await self._follow(told.evse, session),
        )

    async def _session_at(self, station_id: StationId, evse_id: int) -> Session | None:
        running = await self._sessions.open_sessions(station_id)
        here = [one for one in running if one.evse_id == evse_id]
        return here[-1] if here else None

    async def _note(self, session: Session, needs: CarNeeds) -> None:
        """Keep what the car needs, unless its driver said otherwise."""
        known = await self._sessions.session_request(session.session_id)
        departure_at = needs.departure_at
        if departure_at is not None and departure_at <= self._clock.now():
            departure_at = None
        if (known is not None and not known.is_default) or (
            needs.energy_wh is None and departure_at is None
        ):
            return
        energy_wh = None
        if needs.energy_wh is not None:
            energy_wh = session.energy_milliwh // 1000 + needs.energy_wh
        await self._needs.set_need(
            session,
            energy_wh=energy_wh,
            target_soc_percent=None,
            departure_at=departure_at,
            source=SOURCE,
        )

    async def _follow(
        self, ref: EvseRef, session: Session
    ) -> Callable[[], Awaitable[None]] | None:
        """How an offer is sent; ``None`` where nothing may be sent."""
        site = self._site()
        station = site.station(ref.station_id)
        evse = site.evse(ref.station_id, ref.evse_id)
        if station is None or evse is None or session.transaction_id is None:
            return None
        if not station.managed:
            return None
        is_free = evse.cabinet_id is None
        if not is_free and not await self._offers.can_offer(ref):
            return None

        async def from_plan() -> None:
            self._offers.offer_again(ref)

        async def at_rating() -> None:
            await self._send_rating(station, evse, session)

        return at_rating if is_free else from_plan

    async def _send_rating(
        self, station: Station, evse: Evse, session: Session
    ) -> None:
        """Offer the rating: all that is reserved for it counts that already."""
        adapter = self._stations.adapter(session.station_id)
        if adapter is None:
            return
        limit = SetLimit(
            evse_id=evse.ref.evse_id,
            purpose=Purpose.SESSION,
            schedule=rating_of(evse, self._clock.now()),
            transaction_id=session.transaction_id,
            profile_id=SESSION_PROFILE_ID + evse.ref.evse_id,
            unit=unit_of(station, evse),
            number_phases=len(evse.phases),
            nominal_v=evse.phase_v,
        )
        command = adapter.encode_limit(limit)
        try:
            answer = await self._stations.call(
                session.station_id,
                command,
                timeout_s=self._call_timeout_s,
                priority=CallPriority.LIMIT,
            )
        except CallFailed as error:
            _log.warning(
                "offer.not_sent", station_id=session.station_id, why=str(error)
            )
            return
        if adapter.outcome(command.action, answer) is not CallOutcome.ACCEPTED:
            _log.warning("offer.not_accepted", station_id=session.station_id)


def rating_of(evse: Evse, now: datetime) -> LimitSchedule:
    """An offer of all that an EVSE may draw, without end."""
    return LimitSchedule(
        start=(now - SLOW_CLOCK).replace(microsecond=0),
        steps=(LimitStep(offset_s=0, limit_da=evse.max_da),),
    )
