"""Bounded broadcast of what has just become true, inside one process.

Facts reach the bus only after their commit. A slow subscriber never slows the others
and never blocks the publisher: its oldest notices are dropped and it is told so
(``Lagged``), upon which it re-reads the state it needs from the store.

Most facts are readings, thousands a second, and matter to few: a subscriber says of
which classes its notices are and which of them it ``wants``, and sleeps through the
others.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import msgspec

from gateway.domain.events import Event
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.session import Session


class FactCommitted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A fact is on disk.

    Attributes:
        offset: Position in the store's journal; grows, may have gaps.
        session: The session the fact belongs to, after the fold; ``None`` for others.
        is_new: False for a repetition that changed nothing.
        is_backlog: The fact is old (sent from an offline queue): it must not drive
            live state or limits.
    """

    offset: int
    event: Event
    session: Session | None = None
    is_new: bool = True
    is_backlog: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChanged:
    """A station came online or went offline."""

    station_id: StationId
    is_online: bool
    ocpp_version: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestChanged:
    """A driver (or a default) changed what a session needs."""

    session_id: SessionId
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadMeasured:
    """Other equipment, a feeder meter, PV or a battery was measured."""

    load_id: str
    at: datetime
    current_a: tuple[float, float, float] | None
    power_w: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChanged:
    """An operator changed something that plans depend on.

    Attributes:
        subject: e.g. ``cabinet/A/limit``, ``evse/CP1/1/limit``, ``station/CP1``.
    """

    subject: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChanged:
    """A limit command changed its state at a station."""

    evse: EvseRef
    limit_da: int
    status: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandChanged:
    """A command was made or took a step; states as of `gateway.domain.command`."""

    command_id: str
    station_id: StationId
    action: str
    state: str
    reason: str
    is_late: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMade:
    """A cabinet group has a new plan."""

    cabinet_id: CabinetId
    plan_id: int
    outcome: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CabinetWatched:
    """The fast loop found something at a feeder meter.

    Attributes:
        kind: ``cut``, ``released``, ``cannot_shed``, ``feeder_lost``, ``feeder_back``
            or ``exporting``.
        text: In words.
    """

    cabinet_id: CabinetId
    kind: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettled:
    """A bill was made, or a settlement reached the chain."""

    session_id: SessionId
    status: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadAnchored:
    """The chain confirmed a new log head."""

    size: int
    root: str
    tx_hash: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityEventReported:
    """A station reported a security event (1.6 whitepaper, A04; 2.0.1, A04).

    Attributes:
        kind: The station's word, e.g. ``TamperDetectionActivated``.
        is_critical: As the documents mark it.
    """

    station_id: StationId
    kind: str
    is_critical: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRaised:
    """A station told an event of severity 0 to 3, or an alert of unknown severity."""

    station_id: StationId
    component: str
    variable: str
    value: str
    severity: int | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lagged:
    """Notices were dropped for this subscriber: re-read what you need."""

    dropped: int


Notice: TypeAlias = (
    FactCommitted
    | LinkChanged
    | RequestChanged
    | LoadMeasured
    | SettingChanged
    | LimitChanged
    | CommandChanged
    | PlanMade
    | CabinetWatched
    | SessionSettled
    | HeadAnchored
    | SecurityEventReported
    | AlarmRaised
)

Wants: TypeAlias = Callable[[Notice], bool]
"""Whether a subscriber needs a notice at all."""


def _everything(_: Notice) -> bool:
    return True


def _any_of(kinds: tuple[type, ...]) -> Wants:
    """Wants every notice of some classes, or of an event of theirs."""

    def is_one(notice: Notice) -> bool:
        event = notice.event if isinstance(notice, FactCommitted) else None
        return isinstance(notice, kinds) or isinstance(event, kinds)

    return is_one


class Subscription:
    """One reader's bounded view of the bus; iterate it.

    Attributes:
        wants: Which notices it is offered.
        of: Classes of which it wants some; ``None`` for all.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        wants: Wants | None = None,
        of: tuple[type, ...] | None = None,
    ) -> None:
        self.name = name
        self._limit = limit
        all_of = _everything if of is None else _any_of(of)
        self.wants = all_of if wants is None else wants
        self.of = of
        self._notices: deque[Notice] = deque()
        self._dropped = 0
        self._wake = asyncio.Event()

    def offer(self, notice: Notice) -> None:
        """Add a notice; drops the oldest when full."""
        if len(self._notices) >= self._limit:
            self._notices.popleft()
            self._dropped += 1
        self._notices.append(notice)
        self._wake.set()

    def drain(self) -> list[Notice | Lagged]:
        """Everything waiting now, oldest first; a ``Lagged`` leads if any was lost."""
        taken: list[Notice | Lagged] = []
        if self._dropped:
            taken.append(Lagged(dropped=self._dropped))
            self._dropped = 0
        taken.extend(self._notices)
        self._notices.clear()
        self._wake.clear()
        return taken

    async def batch(self) -> list[Notice | Lagged]:
        """Wait until something is there, then take all of it."""
        await self._wake.wait()
        return self.drain()

    async def __aiter__(self) -> AsyncIterator[Notice | Lagged]:
        """Notices one by one, for ever."""
        while True:
            for notice in await self.batch():
                yield notice


class Bus:
    """Broadcasts to all current subscriptions. Loop thread only."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._routes: dict[type, tuple[Subscription, ...]] = {}

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """All that would hear of a notice now."""
        return tuple(self._subscriptions)

    def publish(self, notice: Notice) -> None:
        """Hand a notice to every subscriber that wants it; never blocks."""
        kind = type(notice.event) if isinstance(notice, FactCommitted) else type(notice)
        route = self._routes.get(kind)
        if route is None:
            route = self._routes[kind] = self._route(kind, type(notice))
        for subscription in route:
            if subscription.wants(notice):
                subscription.offer(notice)

    def _route(self, *kinds: type) -> tuple[Subscription, ...]:
        """Who may want notices of one class; the same until somebody comes or goes."""
        return tuple(
            one
            for one in self._subscriptions
            if one.of is None or not set(kinds).isdisjoint(one.of)
        )

    @contextmanager
    def subscribe(
        self,
        name: str,
        *,
        limit: int = 10_000,
        wants: Wants | None = None,
        of: tuple[type, ...] | None = None,
    ) -> Iterator[Subscription]:
        """A subscription that ends with the block.

        Args:
            name: Whose it is.
            limit: Notices that may wait.
            wants: Asked for every notice, so it must be quick; ``None`` wants all that
                are ``of`` its classes.
            of: Classes of notices, or of the events of facts, of which it may want
                some: it is not even asked about others. ``None`` for all.
        """
        subscription = Subscription(name, limit, wants, of)
        self._subscriptions.add(subscription)
        self._routes.clear()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            self._routes.clear()
