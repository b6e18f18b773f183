"""What is assumed of a driver who says nothing, out of the store.

The order, for energy and stay on their own: the driver's word, the token group, the
station, the site as configured, the site's own history. `services.session_need` puts
it together.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from gateway.domain.ids import IdToken
from gateway.domain.session import Session
from gateway.domain.topology import Site
from gateway.domain.usual_need import Default, Visit, alike, usual
from gateway.store import need_defaults
from gateway.store.queries import Queries

HISTORY: Final = timedelta(weeks=8)
READ_AGAIN: Final = timedelta(hours=6)
"""Past sessions are read so often at most."""

LEAST_ERRORS: Final = 20
"""Fewer departures that were said do not tell how right drivers are."""

MOST_DEPARTURES: Final = 200


class NeedDefaults(Protocol):
    """What is assumed beside the configuration."""

    async def of_group(self, session: Session) -> Default:
        """By the group of the session's token."""
        ...

    async def of_history(self, session: Session, now: datetime) -> Default:
        """By what sessions that began at this time of the week were like."""
        ...

    async def departures(
        self, session: Session, said: datetime | None, now: datetime
    ) -> tuple[datetime, ...]:
        """When it may leave, each as likely; empty where the past says nothing."""
        ...


class NeedPolicy:
    """Reads groups' needs each time, past sessions a few times a day. Loop thread."""

    def __init__(self, queries: Queries, site: Callable[[], Site]) -> None:
        self._queries = queries
        self._site = site
        self._visits: Sequence[Visit] = ()
        self._errors_s: Sequence[int] = ()
        self._read_at: datetime | None = None

    async def of_group(self, session: Session) -> Default:
        """By the group of the session's token; empty without one.

        Raises:
            StoreError: The store cannot be read now.
        """
        if session.id_token is None:
            return Default()
        token = IdToken(value=session.id_token, kind=session.token_kind)
        work = partial(need_defaults.of_token, token=token)
        return await asyncio.to_thread(self._queries.read_now, work)

    async def of_history(self, session: Session, now: datetime) -> Default:
        """By the sessions of the last weeks; empty with too few of them.

        Raises:
            StoreError: The store cannot be read now.
        """
        local = await self._read(session, now)
        return await asyncio.to_thread(usual, self._visits, local)

    async def departures(
        self, session: Session, said: datetime | None, now: datetime
    ) -> tuple[datetime, ...]:
        """When it may leave, each as likely; empty where the past says nothing.

        Args:
            session: A running session.
            said: When its driver says that it leaves: as wrong as drivers were. None:
                nobody says anything; it stays as long as sessions like this one did.
            now: The time.

        Raises:
            StoreError: The store cannot be read now.
        """
        local = await self._read(session, now)
        if said is not None:
            errors_s = self._errors_s if len(self._errors_s) >= LEAST_ERRORS else ()
            return likely(said, errors_s)
        found = await asyncio.to_thread(alike, self._visits, local)
        return likely(session.started_at or now, [visit.stay_s for visit in found])

    async def _read(self, session: Session, now: datetime) -> datetime:
        """Read the past again where it is old; returns the local start."""
        zone = ZoneInfo(self._site().timezone)
        if self._read_at is None or not timedelta(0) <= now - self._read_at < (
            READ_AGAIN
        ):
            since = now - HISTORY
            work = partial(need_defaults.visits, since=since, zone=zone)
            self._visits = await asyncio.to_thread(self._queries.read_now, work)
            errors = partial(need_defaults.errors_s, since=since)
            self._errors_s = await asyncio.to_thread(self._queries.read_now, errors)
            self._read_at = now
        return (session.started_at or now).astimezone(zone)


def likely(start: datetime, later_s: Sequence[int]) -> tuple[datetime, ...]:
    """So much later than a start each; many are represented by quantiles."""
    ordered = sorted(later_s)
    count = min(len(ordered), MOST_DEPARTURES)
    return tuple(
        start + timedelta(seconds=ordered[(2 * part + 1) * len(ordered) // (2 * count)])
        for part in range(count)
    )
