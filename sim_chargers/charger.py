"""A charging station, whatever its OCPP version: power, cables, cards and queues.

The two dialects (:mod:`charger_v16`, :mod:`charger_v201`) turn what happens here into
messages and answer the calls of the central system.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, ClassVar, Final

from sim_chargers.clock import Clock, from_wire
from sim_chargers.connector import (
    Connector,
    Reason,
    RemoteStart,
    Sample,
    Transaction,
)
from sim_chargers.events import Events
from sim_chargers.evse import Evse
from sim_chargers.faults import CLOCK_SKEW_S, Faults
from sim_chargers.frames import Payload
from sim_chargers.outbox import Message, Outbox
from sim_chargers.profile_store import ProfileStore
from sim_chargers.profiles import (
    Context,
    Profile,
    Scale,
    limit_at,
    station_cap_at,
)
from sim_chargers.scenario import StationSpec
from sim_chargers.sharing import share
from sim_chargers.vehicle import Vehicle
from sim_chargers.wire import Answer, Link, RefusedError, Reply

RESTART_S: Final = 20.0  # site seconds without power or control
FLUSH_S: Final = 10.0  # site seconds given to the outbox before a reset
SYNC_SLACK_S: Final = 10.0
BOOT_RETRY_S: Final = 30.0
MIN_INTERVAL_S: Final = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all stations share."""

    url: str
    clock: Clock
    events: Events
    seed: int = 0
    nominal_v: float = 230.0
    call_timeout_s: float = 30.0
    boot_on_reconnect: bool = False


class Charger(ABC):
    """One station; :meth:`run` keeps it alive, :meth:`step` is its physics."""

    subprotocol: ClassVar[str]

    def __init__(
        self, spec: StationSpec, around: Surroundings, faults: frozenset[str]
    ) -> None:
        """Build the station with a seeded lifetime register per EVSE."""
        self.spec = spec
        self.around = around
        self.clock = around.clock
        self.faults = Faults(names=faults | spec.faults)
        self.rng = Random(f"{around.seed}/{spec.id}")  # noqa: S311 - not a secret
        self.connectors = {
            e.evse_id: Connector(
                number=e.evse_id,
                evse=Evse(
                    spec=e,
                    register_milliwh=self.rng.randrange(10**8, 5 * 10**9),
                    reaction_s=self.rng.uniform(1.0, 3.0),
                ),
            )
            for e in spec.evses
        }
        self.profiles = ProfileStore()
        self.local_list: dict[str, str] = {}
        self.local_list_version = 0
        self.cache: dict[str, str] = {}
        self.clock_offset_s = CLOCK_SKEW_S if "clock-skew" in self.faults else 0.0
        self.is_accepted = False
        self.is_restarting = False
        self.needs_boot = True
        self.boot_reason = "PowerUp"
        self.heartbeat_interval_s = 300.0
        self.has_booted = asyncio.Event()
        self.on_remote_start: list[Callable[[int], None]] = []
        self._aligned_slot = 0
        self._boot_now = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self.link = Link(
            url=around.url,
            station_id=spec.id,
            subprotocol=self.subprotocol,
            password=spec.password,
            peer=self,
            rng=Random(f"{around.seed}/{spec.id}/link"),  # noqa: S311 - not a secret
            faults=self.faults,
            call_timeout_s=around.call_timeout_s,
        )
        self.outbox = Outbox(
            link=self.link, clock=self.clock, on_security_error=self.request_boot
        )

    # --- life -----------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the station alive until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self.link.run(), name=f"{self.spec.id}.link")
            group.create_task(self.outbox.run(), name=f"{self.spec.id}.outbox")

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the link, within the station's life."""
        assert self._group is not None, "the station is not running"
        self._group.create_task(work)

    @property
    def is_online(self) -> bool:
        """Whether the central system hears us and has accepted us."""
        return self.link.online and self.is_accepted

    def now(self) -> datetime:
        """Return the time on the station's own clock."""
        return self.clock.now() + timedelta(seconds=self.clock_offset_s)

    async def on_online(self) -> None:
        """Boot where needed, report the state, then send heartbeats."""
        if self.around.boot_on_reconnect:
            self.needs_boot = True
        while True:
            if self.needs_boot and not await self._boot():
                continue
            self.is_accepted = True
            self.has_booted.set()
            for connector in self.connectors.values():
                connector.reported = None
            self.outbox.open()
            self.accepted()
            self.report_states()
            await self._beat()

    def on_offline(self) -> None:
        """Keep charging; messages wait."""
        self.is_accepted = False
        self.outbox.close()

    def on_call(self, action: str, payload: Payload) -> Reply:
        """Serve a call of the central system."""
        handler = self.handlers().get(action)
        if handler is None:
            raise RefusedError("NotImplemented", f"{action} is not known here")
        try:
            return handler(payload)
        except (KeyError, TypeError, ValueError) as error:
            _log.warning("%s: %s not understood: %r", self.spec.id, action, error)
            raise RefusedError(self.malformed_code, repr(error)) from error

    def request_boot(self) -> None:
        """Boot again at once: the central system does not know us."""
        self.needs_boot = True
        self.is_accepted = False
        self.outbox.close()
        self._boot_now.set()

    async def restart(self, reason: Reason, boot_reason: str) -> None:
        """End what runs, go dark for a while, come back with a boot."""
        if self.is_restarting:
            return
        self.is_restarting = True
        self.boot_reason = boot_reason
        for connector in self.connectors.values():
            if connector.transaction is not None:
                self.stop(connector, reason)
        if reason is not Reason.POWER_LOSS:
            await self.clock.sleep(FLUSH_S)
        self.link.unplug_cable()
        self.needs_boot = True
        await self.clock.sleep(RESTART_S)
        self.is_restarting = False
        self.link.plug_cable()

    async def _boot(self) -> bool:
        self._boot_now.clear()
        outcome = await self.link.call("BootNotification", self.boot_payload())
        if not isinstance(outcome, Answer):
            await asyncio.sleep(1.0)
            return False
        status = outcome.payload.get("status")
        interval = outcome.payload.get("interval")
        interval_s = float(interval) if isinstance(interval, int | float) else 0.0
        self._set_clock(outcome.payload)
        if status == "Accepted":
            self.needs_boot = False
            if interval_s > 0:
                self.heartbeat_interval_s = max(MIN_INTERVAL_S, interval_s)
            return True
        self.on_registration(str(status))
        await self._boot_wanted(interval_s if interval_s > 0 else BOOT_RETRY_S)
        return False

    def on_registration(self, status: str) -> None:
        """Note that the boot was answered Pending or Rejected."""
        _log.info("%s: registration %s", self.spec.id, status)

    async def _beat(self) -> None:
        """Send heartbeats until another boot is wanted."""
        while not await self._boot_wanted(self.heartbeat_interval_s):
            outcome = await self.link.call("Heartbeat", {})
            if isinstance(outcome, Answer):
                self._set_clock(outcome.payload)

    async def _boot_wanted(self, site_s: float) -> bool:
        """Wait for ``site_s`` seconds, or less when a boot is wanted at once."""
        try:
            async with asyncio.timeout(site_s / self.clock.speed):
                await self._boot_now.wait()
        except TimeoutError:
            return False
        return True

    def _set_clock(self, payload: Payload) -> None:
        """Follow the central system's clock, unless it is the scaled one we share."""
        text = payload.get("currentTime")
        is_set = self.clock.speed == 1.0 and "clock-skew" not in self.faults
        if not is_set or not isinstance(text, str):
            return
        try:
            apart_s = (from_wire(text) - self.now()).total_seconds()
        except ValueError:
            _log.warning("%s: currentTime is no time: %r", self.spec.id, text)
            return
        if abs(apart_s) > SYNC_SLACK_S:
            self.clock_offset_s += apart_s

    # --- physics --------------------------------------------------------------------

    def step(self, now: datetime, dt_s: float) -> None:
        """Advance all EVSEs to site time ``now``."""
        live = [c for c in self.connectors.values() if c.evse.energised]
        limits = self._limits(live, now) if live else {}
        for connector in self.connectors.values():
            connector.evse.step(limits.get(connector.number, 0.0), now, dt_s)

    def context(self, connector: Connector) -> Context:
        """Say for what the limits of a connector are asked."""
        transaction = connector.transaction
        return Context(
            target=connector.number,
            scale=self.scale(connector),
            transaction_id=None if transaction is None else transaction.wire_id,
            transaction_start=None if transaction is None else transaction.started_at,
        )

    def scale(self, connector: Connector) -> Scale:
        """Say what a limit means at a connector."""
        is_dc = connector.evse.spec.is_dc
        return Scale(is_dc=is_dc, nominal_v=self.around.nominal_v)

    def _limits(self, live: list[Connector], now: datetime) -> dict[int, float]:
        most = {c.number: c.evse.spec.native_max for c in live}
        if "lie" in self.faults or not len(self.profiles):
            return most
        at = now + timedelta(seconds=self.clock_offset_s)
        wanted: dict[int, float] = {}
        for connector in live:
            limit = limit_at(self.profiles, self.context(connector), at)
            top = most[connector.number]
            wanted[connector.number] = top if limit is None else min(top, limit)
        scale = self.scale(live[0])
        cap = station_cap_at(self.profiles, scale, at)
        if cap is None:
            return wanted
        least = 0.0 if scale.is_dc else live[0].evse.spec.min_a
        return share(cap, wanted, least)

    def observe(self) -> None:
        """Report what changed since the last call; take the samples that are due."""
        if self.is_restarting:
            return
        now = self.now()
        for connector in self.connectors.values():
            self._expire(connector, now)
            transaction = connector.transaction
            if transaction is None:
                continue
            charging = connector.evse.charging
            if charging is not transaction.charging:
                transaction.charging = charging
                self.charging_changed(connector, transaction)
            if transaction.sampling.is_due(self.clock.now()):
                self.send_sample(connector, transaction, "Sample.Periodic")
        self._sample_aligned(now)
        self.report_states()

    def _sample_aligned(self, now: datetime) -> None:
        """Read all meters at the full quarter hours, or whatever is configured."""
        interval_s = self.aligned_interval_s()
        if interval_s <= 0:
            return
        slot = int(now.timestamp() // interval_s)
        is_due = self._aligned_slot not in (0, slot)
        self._aligned_slot = slot
        if not is_due:
            return
        for connector in self.connectors.values():
            if connector.transaction is not None:
                self.send_sample(connector, connector.transaction, "Sample.Clock")
            else:
                self.send_idle_sample(connector, "Sample.Clock")

    def report_states(self) -> None:
        """Send the states that the central system does not know yet."""
        for connector in self.connectors.values():
            status = self.status_of(connector)
            if status != connector.reported and self.is_online:
                connector.reported = status
                self.send_status(connector, status)

    def restart_sampling(self) -> None:
        """Let a changed interval count from now on."""
        for connector in self.connectors.values():
            if connector.transaction is not None:
                connector.transaction.sampling.restart(
                    self.clock.now(), self.sample_interval_s()
                )

    def _expire(self, connector: Connector, now: datetime) -> None:
        if connector.remote_start is not None and now >= connector.remote_start.until:
            connector.remote_start = None
        if connector.reservation is not None and now >= connector.reservation.until:
            self.reservation_expired(connector)
            connector.reservation = None

    # --- drivers --------------------------------------------------------------------

    def plug_in(self, evse_id: int, vehicle: Vehicle) -> bool:
        """Connect a car; False where there is no room for it."""
        connector = self.connectors[evse_id]
        if connector.evse.vehicle is not None:
            return False
        connector.evse.vehicle = vehicle
        connector.finishing = False
        remote = connector.remote_start
        if remote is not None and not self.is_restarting:
            connector.remote_start = None
            self.start(connector, remote.token, trigger="RemoteStart", remote=remote)
        elif connector.authorised is not None:
            self.start(connector, connector.authorised, trigger="CablePluggedIn")
        else:
            self.cable_changed(connector)
        return True

    async def present_token(self, evse_id: int, token: str) -> bool:
        """Show a card: starts or stops; False where it is refused."""
        connector = self.connectors[evse_id]
        if self.is_restarting or not connector.operative:
            return False
        kept = connector.reservation
        if connector.transaction is not None:
            if not _same(connector.transaction.token, token):
                return False
            self.stop(connector, Reason.LOCAL)
            return True
        if kept is not None and not _same(kept.token, token):
            return False
        return await self.is_authorised(token) and self._admit(connector, token)

    def _admit(self, connector: Connector, token: str) -> bool:
        """Start for an authorised token; much may have happened since it was shown."""
        if self.is_restarting:
            return False
        if connector.transaction is not None:
            return _same(connector.transaction.token, token)
        if connector.evse.vehicle is None:
            connector.authorised = token
        else:
            self.start(connector, token, trigger="Authorized")
        return True

    def unplug(self, evse_id: int) -> None:
        """Take the car away; a running transaction ends."""
        connector = self.connectors[evse_id]
        if connector.transaction is not None:
            self.stop(connector, Reason.EV_DISCONNECTED)
        connector.evse.vehicle = None
        connector.evse.step(0.0, self.clock.now(), 0.0)
        connector.finishing = False
        self.cable_changed(connector)

    # --- transactions ---------------------------------------------------------------

    async def is_authorised(self, token: str) -> bool:
        """Ask the central system, or what is known locally while offline."""
        if self.is_online:
            outcome = await self.link.call("Authorize", self.authorize_payload(token))
            if isinstance(outcome, Answer):
                try:
                    status = self.token_status(outcome.payload)
                except (KeyError, TypeError) as error:
                    _log.warning("%s: no verdict: %r", self.spec.id, error)
                    return False
                self.cache[token.casefold()] = status
                return status == "Accepted"
        known = self.local_list.get(token.casefold(), self.cache.get(token.casefold()))
        if known is not None:
            return known == "Accepted"
        return self.allows_unknown_offline()

    def start(
        self,
        connector: Connector,
        token: str,
        *,
        trigger: str,
        remote: RemoteStart | None = None,
    ) -> None:
        """Begin a transaction: car and authorisation are both there."""
        now = self.now()
        kept = connector.reservation
        transaction = Transaction(
            token=token,
            started_at=now,
            register_start_milliwh=connector.evse.register_milliwh,
            remote_start_id=None if remote is None else remote.remote_start_id,
            reservation_id=None if kept is None else kept.reservation_id,
            was_offline=not self.is_online,
        )
        transaction.sampling.restart(self.clock.now(), self.sample_interval_s())
        connector.reservation = None
        connector.authorised = None
        connector.transaction = transaction
        connector.evse.energised = True
        transaction.samples.append(connector.sample(now, "Transaction.Begin"))
        if remote is not None and remote.profile is not None:
            self.profiles.install(remote.profile)
        self.started(connector, transaction, trigger)

    def stop(self, connector: Connector, reason: Reason) -> None:
        """End the running transaction and open the contactor."""
        transaction = connector.transaction
        assert transaction is not None, "no transaction to stop"
        end = connector.sample(self.now(), "Transaction.End")
        transaction.samples.append(end)
        connector.transaction = None
        connector.evse.energised = False
        connector.finishing = True
        self.profiles.end_transaction(connector.number)
        self.ended(connector, transaction, end, reason)
        if connector.inoperative_later:
            connector.inoperative_later = False
            connector.operative = False

    def begin_remotely(
        self,
        connector: Connector,
        token: str,
        *,
        wait_s: float,
        remote_start_id: int | None = None,
        profile: Profile | None = None,
        authorise: bool = False,
    ) -> None:
        """Start as soon as there is a car, at latest after ``wait_s`` site seconds."""
        remote = RemoteStart(
            token=token,
            until=self.now() + timedelta(seconds=wait_s),
            remote_start_id=remote_start_id,
            profile=profile,
        )
        self.spawn(self._begin(connector, remote, authorise))

    async def _begin(
        self, connector: Connector, remote: RemoteStart, authorise: bool
    ) -> None:
        if authorise and not await self.is_authorised(remote.token):
            return
        if connector.transaction is not None or self.is_restarting:
            return
        if connector.evse.vehicle is not None:
            self.start(connector, remote.token, trigger="RemoteStart", remote=remote)
        else:
            connector.remote_start = remote
            for bring_car in self.on_remote_start:
                bring_car(connector.number)

    def session_acknowledged(
        self,
        connector: Connector,
        transaction: Transaction,
        *,
        ended_milliwh: int | None,
    ) -> None:
        """Tell the parent that the central system has the start or the end."""
        events = self.around.events
        start_milliwh = self.wire_milliwh(transaction.register_start_milliwh)
        about = {
            "station": self.spec.id,
            "evse": connector.number,
            "transaction": transaction.wire_id,
            "id_token": transaction.token,
            "register_start_milliwh": start_milliwh,
        }
        if ended_milliwh is None:
            events.emit("session_started", **about)
            return
        stop_milliwh = self.wire_milliwh(ended_milliwh)
        events.emit(
            "session_ended",
            **about,
            register_stop_milliwh=stop_milliwh,
            energy_milliwh=stop_milliwh - start_milliwh,
        )
        events.session_ended(start_milliwh=start_milliwh, stop_milliwh=stop_milliwh)

    def enqueue(
        self,
        action: str,
        build: Callable[[], dict[str, Any]],
        *,
        durable: bool = False,
        on_answer: Callable[[Payload], None] | None = None,
    ) -> None:
        """Send a message in its turn."""
        message = Message(
            action=action, build=build, durable=durable, on_answer=on_answer
        )
        self.outbox.put(message)

    def free_connectors(self) -> Iterator[Connector]:
        """Go through the connectors at which a driver may plug in."""
        return (c for c in self.connectors.values() if c.is_free)

    # --- the dialect ----------------------------------------------------------------

    malformed_code: ClassVar[str]

    @abstractmethod
    def handlers(self) -> dict[str, Callable[[Payload], Reply]]:
        """Return the table of served calls."""

    @abstractmethod
    def boot_payload(self) -> dict[str, Any]:
        """Build a BootNotification."""

    @abstractmethod
    def authorize_payload(self, token: str) -> dict[str, Any]:
        """Build an Authorize."""

    @abstractmethod
    def token_status(self, payload: Payload) -> str:
        """Read the verdict on a token from an answer."""

    @abstractmethod
    def allows_unknown_offline(self) -> bool:
        """Whether unknown tokens may charge while offline."""

    @abstractmethod
    def sample_interval_s(self) -> float:
        """Return the interval between samples; 0 for none."""

    @abstractmethod
    def aligned_interval_s(self) -> float:
        """Return the interval of clock-aligned samples; 0 for none."""

    @abstractmethod
    def wire_milliwh(self, register_milliwh: int) -> int:
        """Round a register down to what this dialect puts on the wire."""

    @abstractmethod
    def status_of(self, connector: Connector) -> str:
        """Return the connector's status word."""

    @abstractmethod
    def send_status(self, connector: Connector, status: str) -> None:
        """Send a StatusNotification."""

    @abstractmethod
    def started(
        self, connector: Connector, transaction: Transaction, trigger: str
    ) -> None:
        """Report the beginning of a transaction."""

    @abstractmethod
    def charging_changed(self, connector: Connector, transaction: Transaction) -> None:
        """Report another charging state."""

    @abstractmethod
    def send_sample(
        self, connector: Connector, transaction: Transaction, context: str
    ) -> None:
        """Report a sample within a transaction."""

    @abstractmethod
    def send_idle_sample(self, connector: Connector, context: str) -> None:
        """Report a sample outside a transaction."""

    @abstractmethod
    def ended(
        self,
        connector: Connector,
        transaction: Transaction,
        end: Sample,
        reason: Reason,
    ) -> None:
        """Report the end of a transaction."""

    def accepted(self) -> None:  # noqa: B027 - optional hook
        """React to being accepted, before the states are reported."""

    def cable_changed(self, connector: Connector) -> None:  # noqa: B027 - optional hook
        """React to a cable plugged in or out without a transaction."""

    def reservation_expired(self, connector: Connector) -> None:  # noqa: B027 - optional hook
        """React to a reservation that ran out."""


def _same(one: str, other: str) -> bool:
    """Compare tokens as both versions ask: without regard to case."""
    return one.casefold() == other.casefold()
