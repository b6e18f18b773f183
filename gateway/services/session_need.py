"""What a session needs: what its driver asked for, the rest by default."""

import math
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.domain.session import Session
from gateway.domain.topology import Site
from gateway.errors import StoreError
from gateway.services.dispatch_ports import SessionQueries, SessionRequest
from gateway.services.evse_state import Need

ASSUMED_BATTERY_WH: Final = 60_000
"""Capacity of a car that states a wanted state of charge, but no capacity."""

_log = structlog.get_logger()


async def read_need(
    session: Session, sessions: SessionQueries, site: Site, now: datetime
) -> Need:
    """What a session needs, by what its driver said and the site's defaults."""
    request = None
    try:
        request = await sessions.session_request(session.session_id)
    except StoreError as error:
        _log.warning(
            "session.need_unread", session_id=session.session_id, why=str(error)
        )
    station = site.station(session.station_id)
    energy_wh = None if station is None else station.default_energy_wh
    stay_s = None if station is None else station.default_stay_s
    return need_of(
        session,
        request,
        default_energy_wh=site.default_energy_wh if energy_wh is None else energy_wh,
        default_stay_s=site.default_stay_s if stay_s is None else stay_s,
        now=now,
    )


def need_of(
    session: Session,
    request: SessionRequest | None,
    *,
    default_energy_wh: int,
    default_stay_s: int,
    now: datetime,
) -> Need:
    """What a session needs: what was asked for, the rest by default."""
    started = session.started_at or now
    stay_until = started + timedelta(seconds=default_stay_s)
    if request is None:
        return Need(energy_wh=default_energy_wh, departure_at=stay_until)
    energy_wh = default_energy_wh if request.energy_wh is None else request.energy_wh
    soc = session.soc_percent
    if (
        request.energy_wh is None
        and request.target_soc_percent is not None
        and soc is not None
    ):
        missing = max(0.0, request.target_soc_percent - soc) / 100
        energy_wh = session.energy_milliwh // 1000 + missing * ASSUMED_BATTERY_WH
    return Need(
        energy_wh=math.ceil(energy_wh),
        departure_at=request.departure_at or stay_until,
        is_default=request.is_default,
    )
