"""The life of a station: connection, registration, heartbeats, clock, restarts."""

import asyncio
import logging
import ssl
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, assert_never

from sim_chargers.blocks.cost import Costs
from sim_chargers.blocks.publishing import Publishing
from sim_chargers.certificates import Trust
from sim_chargers.clock import Clock, from_wire, to_wire
from sim_chargers.connector import Connector, Reason, Transaction
from sim_chargers.dialect import Dialect
from sim_chargers.events import Events
from sim_chargers.evse import Evse
from sim_chargers.faults import CLOCK_SKEW_S, Faults
from sim_chargers.frames import Payload
from sim_chargers.installation import Firmware
from sim_chargers.journal import Exchange, Journal
from sim_chargers.outbox import Message, Outbox
from sim_chargers.outcomes import (
    Answer,
    NoAnswer,
    Outcome,
    Refusal,
    RefusedError,
    Reply,
)
from sim_chargers.profile_store import ProfileStore
from sim_chargers.quirks import is_start
from sim_chargers.renewal import STATION_KIND
from sim_chargers.scenario import StationSpec
from sim_chargers.signed_samples import signing_meter
from sim_chargers.tls import TlsFiles, client_context
from sim_chargers.tokens import Tokens
from sim_chargers.twists import Twist
from sim_chargers.uploads import Uploads
from sim_chargers.wire import Link

RESTART_S: Final = 20.0  # site seconds without power or control
FLUSH_S: Final = 10.0  # site seconds given to the outbox before a reset
SYNC_SLACK_S: Final = 10.0
BOOT_RETRY_S: Final = 30.0
MIN_INTERVAL_S: Final = 1.0
MAX_TECH_INFO: Final = 255  # characters
NO_BOOT_PAUSE_S: Final = 0.5  # real seconds of a station that never boots

_REMOTE_CALLS: Final = frozenset(
    {
        "RemoteStartTransaction",
        "RemoteStopTransaction",
        "RequestStartTransaction",
        "RequestStopTransaction",
    }
)
_PROBES: Final = frozenset(
    {"GetBaseReport", "GetConfiguration", "GetVariables", "TriggerMessage"}
)

_MALFORMED: Final = (
    ArithmeticError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
)
"""What reading a payload of the wrong shape raises."""

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
    tls: TlsFiles = field(default_factory=TlsFiles)


class Life(Dialect):
    """A station as a network device; :meth:`run` keeps it alive."""

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
                meter=signing_meter(spec, e.evse_id, self.faults.names),
            )
            for e in spec.evses
        }
        self.profiles = ProfileStore()
        self.tokens = Tokens()
        self.clock_offset_s = CLOCK_SKEW_S if "clock-skew" in self.faults else 0.0
        self.is_accepted = False
        self.is_restarting = False
        self.needs_boot = True
        self.boot_reason = "PowerUp"
        self.heartbeat_interval_s = 300.0
        self.has_booted = asyncio.Event()
        self.is_up = asyncio.Event()  # online and accepted
        self.journal = Journal()
        self.twists: set[Twist] = set()
        self.firmware = Firmware(version=spec.firmware)
        self.uploads = Uploads()
        self.publishing = Publishing()
        self.trust = Trust()
        self.costs = Costs()
        self.on_remote_start: list[Callable[[int], None]] = []
        self._aligned_slot = 0
        self._boot_now = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self.link = Link(
            urls=[around.url],
            station_id=spec.id,
            subprotocol=self.subprotocol,
            password=spec.password,
            peer=self,
            rng=Random(f"{around.seed}/{spec.id}/link"),  # noqa: S311 - not a secret
            faults=self.faults,
            tls=self._tls_context,
            call_timeout_s=around.call_timeout_s,
        )
        self.outbox = Outbox(
            link=self.link, clock=self.clock, on_security_error=self.request_boot
        )

    async def run(self) -> None:
        """Keep the station alive until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self.link.run(), name=f"{self.spec.id}.link")
            group.create_task(self.outbox.run(), name=f"{self.spec.id}.outbox")

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside the link, within the station's life."""
        assert self._group is not None, "the station is not running"
        return self._group.create_task(work)

    def note(self, action: str, payload: Payload, outcome: Outcome, ours: bool) -> None:
        """Keep an exchange in the journal."""
        answer: Payload | None = None
        error: str | None = None
        match outcome:
            case Answer():
                answer = outcome.payload
            case Refusal():
                error = outcome.code
            case NoAnswer():
                error = outcome.reason
            case _:
                assert_never(outcome)
        self.journal.note(
            Exchange(
                at=self.now(),
                is_ours=ours,
                action=action,
                payload=payload,
                answer=answer,
                error=error,
            )
        )

    def use_identity(self) -> None:
        """Come back with the new certificate, where the link is secured (A02)."""
        if self.link.url.startswith("wss:"):
            self.spawn(self.link.drop())

    def _tls_context(self) -> ssl.SSLContext:
        kinds = ("CSMSRootCertificate", "CentralSystemRootCertificate")
        return client_context(
            self.around.tls,
            roots=[root for kind in kinds for root in self.trust.of_kind(kind)],
            identity=self.trust.own.get(STATION_KIND),
        )

    async def ask(self, action: str, payload: Payload) -> Payload | None:
        """Call as soon as the station is accepted; None without a proper answer."""
        await self.is_up.wait()
        outcome = await self.link.call(action, payload)
        return outcome.payload if isinstance(outcome, Answer) else None

    async def until(self, instant: datetime) -> None:
        """Wait for an instant of the station's own clock."""
        await self.clock.sleep((instant - self.now()).total_seconds())

    async def transfer_for(self, site_s: float) -> None:
        """Wait as long as a file takes; longer, while a flow wants it slow."""
        await self.clock.sleep(site_s)
        while Twist.SLOW_TRANSFER in self.twists:
            await self.clock.sleep(site_s)

    def security_event(self, kind: str, about: str = "") -> None:
        """Report a security event (2.0.1: A04; 1.6: security whitepaper)."""
        payload = {"type": kind, "timestamp": to_wire(self.now())}
        if about:
            payload["techInfo"] = about[:MAX_TECH_INFO]
        self.enqueue("SecurityEventNotification", lambda: payload, durable=True)

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
            self.is_up.set()
            self.accepted()
            self.report_states()
            if self.link.distrusted:  # A00.FR.306, told once it can be
                self.link.distrusted = False
                self.security_event("InvalidCsmsCertificate", self.link.url)
            await self._beat()

    def on_offline(self) -> None:
        """Keep charging; messages wait."""
        self.is_accepted = False
        self.is_up.clear()
        self.outbox.close()

    def on_call(self, action: str, payload: Payload) -> Reply:
        """Serve a call of the central system."""
        handler = self.handlers().get(action)
        if handler is None:
            raise RefusedError("NotImplemented", f"{action} is not known here")
        try:
            return self._misserved(action, handler(payload))
        except _MALFORMED as error:
            _log.warning("%s: %s not understood: %r", self.spec.id, action, error)
            raise RefusedError(self.malformed_code, repr(error)) from error

    def _misserved(self, action: str, reply: Reply) -> Reply:
        """Return the reply with what this firmware makes of it."""
        if "accepts-only" in self.faults and action in _REMOTE_CALLS:
            return Reply(payload=reply.payload)
        if "fragile" in self.faults and action in _PROBES:
            return Reply(payload=reply.payload, after=self._crash)
        return reply

    def _crash(self) -> None:
        self.spawn(self.restart(Reason.POWER_LOSS, "Watchdog"))

    def request_boot(self) -> None:
        """Boot again at once: the central system does not know us."""
        self.needs_boot = True
        self.is_accepted = False
        self.is_up.clear()
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
        self.is_up.clear()
        self.needs_boot = True
        await self.clock.sleep(RESTART_S)
        if "forgetful" in self.faults:
            self.profiles.clear()
        self.restarted()
        self.is_restarting = False
        self.link.plug_cable()

    def restarted(self) -> None:
        """Let take effect what waited for a restart."""

    async def _boot(self) -> bool:
        self._boot_now.clear()
        if "no-boot" in self.faults:
            await asyncio.sleep(NO_BOOT_PAUSE_S)
            self.needs_boot = False
            return True
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

    def enqueue(
        self,
        action: str,
        build: Callable[[], dict[str, Any]],
        *,
        durable: bool = False,
        on_answer: Callable[[Payload], None] | None = None,
        transaction: Transaction | None = None,
    ) -> None:
        """Send a message in its turn."""
        if "lost-starts" in self.faults and is_start(action, build()):
            return
        message = Message(
            action=action,
            build=build,
            durable=durable,
            on_answer=on_answer,
            transaction=transaction,
        )
        self.outbox.put(message)

    @abstractmethod
    def stop(self, connector: Connector, reason: Reason) -> None:
        """End the running transaction of a connector."""

    @abstractmethod
    def report_states(self) -> None:
        """Send the states that the central system does not know yet."""
