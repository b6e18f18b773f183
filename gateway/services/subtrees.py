"""Each cabinet's own history in the log: its sub-tree of every timestep is sealed.

Runs in the anchoring thread, right before a head is made. A timestep without readings,
plans or commands of a cabinet has no leaf of it.
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from gateway.domain.ids import StationId
from gateway.domain.topology import Site
from ledger.cabinets import seal_cabinets

T = TypeVar("T")


class Write(Protocol):
    """Runs a job on the writer's connection, in one transaction."""

    def __call__(self, job: Callable[[sqlite3.Connection], T], /) -> T:
        """Return what the job returns, once it is committed."""
        ...


class _Placed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What readings, plans and commands say of their place."""

    cabinet_id: str | None = None
    station_id: str | None = None
    evse_id: int = 0


_decode = msgspec.json.Decoder(_Placed).decode


class Subtrees:
    """Seals the sub-trees of cabinets, once per timestep.

    Args:
        site: The site as it is now: what changes cabinets does so from then on.
        step_s: Length of a timestep, site seconds.
    """

    def __init__(self, *, site: Callable[[], Site], step_s: int) -> None:
        self._site = site
        self._step = timedelta(seconds=step_s)
        self._due: datetime | None = None

    def step(self, write: Write, now: datetime, *, flush: bool = False) -> None:
        """Seal what is due; ``flush``: whatever there is, now.

        Raises:
            StoreError: The database refused.
        """
        if self._due is None:
            self._due = now + self._step
        if now < self._due and not flush:
            return
        self._due = now + self._step
        find = partial(cabinet_of, self._site())
        while write(partial(seal_cabinets, cabinet_of=find, now=now)):
            pass


def cabinet_of(site: Site, kind: str, record: bytes) -> str | None:
    """The cabinet whose cable a record is about; ``None`` where no one can tell.

    What a station says of itself as a whole (EVSE 0) belongs to its cabinet where all
    of its EVSEs hang on one.
    """
    placed = _decode(record)
    if kind == "plan":
        return placed.cabinet_id
    station = site.station(StationId(placed.station_id or ""))
    if station is None:
        return None
    found = {
        evse.cabinet_id
        for evse in station.evses
        if placed.evse_id in {0, evse.ref.evse_id}
    }
    return found.pop() if len(found) == 1 else None
