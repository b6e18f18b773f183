"""Who is connected now: the newest authenticated connection of a station wins.

Ownership is an epoch per connection. A late close of an old connection finds that it no
longer owns the station and changes nothing.
"""

import asyncio
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import structlog

from gateway.bus import Bus, LinkChanged
from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.errors import NotConnected
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.rpc import CallPriority
from gateway.server.legacy_use import LegacyUse
from gateway.server.link import (
    GOING_AWAY,
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    Link,
    OnLate,
)
from gateway.server.reconnects import Takeovers

KEPT_OUT: Final = "the obedience test takes the network away for a while"

REPLACED: Final = "a newer connection of this station took over"

_log = structlog.get_logger()


class Links:
    """All live links by station. Loop thread only."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._links: dict[StationId, Link] = {}
        self._parted: dict[StationId, tuple[datetime, str]] = {}
        self._epoch = 0
        self._kept_out: dict[StationId, float] = {}
        self._takeovers = Takeovers()
        self._legacy_use = LegacyUse()

    def next_epoch(self) -> int:
        """A number above every earlier connection's."""
        self._epoch += 1
        return self._epoch

    def attach(self, link: Link) -> None:
        """Make ``link`` the one of its station; an older one is closed."""
        station_id = StationId(link.station_id)
        old = self._links.get(station_id)
        self._links[station_id] = link
        if old is not None:
            _log.warning(
                "link.replaced",
                station_id=station_id,
                old_remote=old.remote,
                remote=link.remote,
            )
            old.close_soon(POLICY_VIOLATION, REPLACED)
            if self._takeovers.note(station_id, _now_s(), old.remote, link.remote):
                _log.error(
                    "link.contested",
                    station_id=station_id,
                    remotes=self.contested(station_id),
                )
        self._legacy_use.note(station_id, link.security, link.opened_at)
        self._announce(link, is_online=True)

    def detach(self, link: Link) -> None:
        """Forget ``link`` if it is still the one of its station."""
        station_id = StationId(link.station_id)
        if self._links.get(station_id) is link:
            del self._links[station_id]
            self._parted[station_id] = (link.last_frame_at, link.adapter.version)
            self._announce(link, is_online=False)

    def get(self, station_id: StationId) -> Link | None:
        """The live link of a station."""
        return self._links.get(station_id)

    def all(self) -> list[Link]:
        """Every live link."""
        return list(self._links.values())

    def is_online(self, station_id: StationId) -> bool:
        """Whether the station has a live link."""
        return station_id in self._links

    def contested(self, station_id: StationId) -> tuple[str, ...]:
        """Addresses that keep taking a station from each other; empty for most.

        Two senders know its password: a copied configuration, or a thief.
        """
        return self._takeovers.contested(station_id, _now_s())

    def heard(self, station_id: StationId) -> tuple[datetime, str] | None:
        """When a station last said something (site time), and its OCPP version.

        ``None``: it has not been connected since the start.
        """
        link = self._links.get(station_id)
        if link is None:
            return self._parted.get(station_id)
        return (link.last_frame_at, link.adapter.version)

    def seen(self) -> dict[StationId, tuple[datetime, str]]:
        """`heard` of every station that was connected since the start."""
        live = {
            station_id: (link.last_frame_at, link.adapter.version)
            for station_id, link in self._links.items()
        }
        return self._parted | live

    def connection(self, station_id: StationId) -> Mapping[str, object] | None:
        """What the live link uses, for people: address, profile, TLS, certificate."""
        link = self._links.get(station_id)
        if link is None:
            return None
        used = link.security
        return {
            "remote": link.remote,
            "opened_at": link.opened_at.isoformat(),
            "contested_by": list(self.contested(station_id)),
            "profile": used.profile,
            "tls_version": used.tls_version,
            "cipher": used.cipher,
            "port": used.port,
            "client_certificate": None
            if used.client_not_after is None
            else {
                "subject": used.client_name,
                "organization": used.client_organization,
                "serial": used.client_serial,
                "not_after": used.client_not_after.isoformat(),
            },
        }

    def legacy_use(self) -> list[Mapping[str, object]]:
        """Stations that last came in by the legacy TLS port, by id."""
        return [
            {**used, "online": self.is_online(StationId(str(used["station_id"])))}
            for used in self._legacy_use.rows()
        ]

    def adapter(self, station_id: StationId) -> Adapter | None:
        """The dialect the station speaks on its live link."""
        link = self._links.get(station_id)
        return None if link is None else link.adapter

    def epoch_of(self, station_id: StationId) -> int | None:
        """The number of a station's live link; no two links have the same."""
        link = self._links.get(station_id)
        return None if link is None else link.epoch

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
        """Send a command to a station and wait for its answer.

        Args:
            station_id: Where to.
            command: For the dialect of its link.
            timeout_s: See ``Link.call``, as for ``priority`` and ``on_late``.
            priority: Place in the line.
            on_late: Gets a late answer.
            epoch: The only link it may go out on; ``None``: the one there is.

        Raises:
            NotConnected: There is no link, or another one by now.
            CallFailed: See ``Link.call``.
        """
        link = self._links.get(station_id)
        if link is None:
            raise NotConnected(f"{station_id} is not connected")
        if epoch is not None and link.epoch != epoch:
            raise NotConnected(f"{station_id} has another connection by now")
        return await link.call(
            command.action,
            command.payload,
            timeout_s=timeout_s,
            priority=priority,
            on_late=on_late,
        )

    def disconnect(self, station_id: StationId, reason: str) -> bool:
        """Close a station's link; whether there was one."""
        link = self._links.get(station_id)
        if link is None:
            return False
        link.close_soon(POLICY_VIOLATION, reason)
        return True

    def keep_out(self, station_id: StationId, seconds: float) -> None:
        """Close a station's link, and let it in again after so many real seconds."""
        self._kept_out[station_id] = _now_s() + seconds
        self.disconnect(station_id, KEPT_OUT)

    def kept_out_s(self, station_id: StationId) -> int:
        """Whole real seconds until a station is let in; 0: it is."""
        until_s = self._kept_out.get(station_id)
        if until_s is None:
            return 0
        left_s = math.ceil(until_s - _now_s())
        if left_s <= 0:
            del self._kept_out[station_id]
        return max(0, left_s)

    def close_waiting(self, reason: str) -> int:
        """Close every link whose station waits for an answer; how many."""
        waiting = [link for link in self.all() if link.is_waited_on]
        for link in waiting:
            link.close_soon(TRY_AGAIN_LATER, reason)
        return len(waiting)

    def close_all(self, reason: str) -> None:
        """Close every link, as at shutdown."""
        for link in self.all():
            link.close_soon(GOING_AWAY, reason)

    def _announce(self, link: Link, *, is_online: bool) -> None:
        self._bus.publish(
            LinkChanged(
                station_id=StationId(link.station_id),
                is_online=is_online,
                ocpp_version=link.adapter.version,
                at=self._clock.now(),
            )
        )


def _now_s() -> float:
    return asyncio.get_running_loop().time()
