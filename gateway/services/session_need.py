"""What a session needs: what its driver asked for, the rest assumed."""

import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.domain.session import Session
from gateway.domain.topology import Site
from gateway.domain.usual_need import Assumed, Default, NeedSource, assumed
from gateway.errors import StoreError
from gateway.services.dispatch_ports import SessionQueries, SessionRequest
from gateway.services.evse_state import Need
from gateway.services.need_policy import NeedDefaults

ASSUMED_BATTERY_WH: Final = 60_000
"""Capacity of a car that states a wanted state of charge, but no capacity."""

_log = structlog.get_logger()


async def read_need(
    session: Session,
    sessions: SessionQueries,
    site: Site,
    now: datetime,
    defaults: NeedDefaults | None = None,
) -> Need:
    """What a session needs, by what its driver said and by what is assumed.

    What cannot be read now is left out: nobody waits for it.
    """
    request, group, history = None, Default(), Default()
    try:
        request = await sessions.session_request(session.session_id)
        if defaults is not None:
            group = await defaults.of_group(session)
            if site.default_energy_wh is None or site.default_stay_s is None:
                history = await defaults.of_history(session, now)
    except StoreError as error:
        _log.warning(
            "session.need_unread", session_id=session.session_id, why=str(error)
        )
    station = site.station(session.station_id)
    asked = None if request is None else request.may_pause
    need = need_of(
        session,
        request,
        assumed(
            token_group=group,
            station=Default()
            if station is None
            else Default(
                energy_wh=station.default_energy_wh, stay_s=station.default_stay_s
            ),
            site=Default(energy_wh=site.default_energy_wh, stay_s=site.default_stay_s),
            history=history,
        ),
        now=now,
    )
    return replace(
        need,
        may_pause=group.may_pause if asked is None else asked,
        leaves_at=await _leaves_at(session, need, defaults, now),
    )


async def _leaves_at(
    session: Session, need: Need, defaults: NeedDefaults | None, now: datetime
) -> tuple[datetime, ...]:
    """When it may leave; what an operator configured counts as it stands."""
    if defaults is None:
        return ()
    said = need.departure_at if need.departure_from is NeedSource.DRIVER else None
    if said is None and need.departure_from is not NeedSource.HISTORY:
        return ()
    try:
        return await defaults.departures(session, said, now)
    except StoreError as error:
        _log.warning(
            "session.need_unread", session_id=session.session_id, why=str(error)
        )
        return ()


def need_of(
    session: Session,
    request: SessionRequest | None,
    default: Assumed,
    *,
    now: datetime,
) -> Need:
    """What a session needs: what was asked for, the rest assumed."""
    started = session.started_at or now
    stay_until = started + timedelta(seconds=default.stay_s)
    energy_wh: float = default.energy_wh
    energy_from, departure_from = default.energy_from, default.stay_from
    if request is None:
        return Need(
            energy_wh=default.energy_wh,
            departure_at=stay_until,
            energy_from=energy_from,
            departure_from=departure_from,
        )
    soc = session.soc_percent
    if request.energy_wh is not None:
        energy_wh, energy_from = request.energy_wh, NeedSource.DRIVER
    elif request.target_soc_percent is not None and soc is not None:
        missing = max(0.0, request.target_soc_percent - soc) / 100
        energy_wh = session.energy_milliwh // 1000 + missing * ASSUMED_BATTERY_WH
        energy_from = NeedSource.DRIVER
    if request.departure_at is not None:
        departure_from = NeedSource.DRIVER
    return Need(
        energy_wh=math.ceil(energy_wh),
        departure_at=request.departure_at or stay_until,
        is_default=request.is_default,
        energy_from=energy_from,
        departure_from=departure_from,
    )
