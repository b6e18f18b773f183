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
from gateway.domain.usual_need import Default, Visit, usual
from gateway.store import need_defaults
from gateway.store.queries import Queries

HISTORY: Final = timedelta(weeks=8)
READ_AGAIN: Final = timedelta(hours=6)
"""Past sessions are read so often at most."""


class NeedDefaults(Protocol):
    """What is assumed beside the configuration."""

    async def of_group(self, session: Session) -> Default:
        """By the group of the session's token."""
        ...

    async def of_history(self, session: Session, now: datetime) -> Default:
        """By what sessions that began at this time of the week were like."""
        ...


class NeedPolicy:
    """Reads groups' needs each time, past sessions a few times a day. Loop thread."""

    def __init__(self, queries: Queries, site: Callable[[], Site]) -> None:
        self._queries = queries
        self._site = site
        self._visits: Sequence[Visit] = ()
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
        zone = ZoneInfo(self._site().timezone)
        if self._read_at is None or not timedelta(0) <= now - self._read_at < (
            READ_AGAIN
        ):
            work = partial(need_defaults.visits, since=now - HISTORY, zone=zone)
            self._visits = await asyncio.to_thread(self._queries.read_now, work)
            self._read_at = now
        started = session.started_at or now
        local = started.astimezone(zone)
        return await asyncio.to_thread(usual, self._visits, local)
