"""A charging station, whatever its OCPP version: power, cables, cards and limits.

The two dialects (:mod:`charger_v16`, :mod:`charger_v201`) turn what happens here into
messages and answer the calls of the central system.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from typing_extensions import override

from sim_chargers.connector import Connector, Reason, RemoteStart, Transaction
from sim_chargers.life import Life
from sim_chargers.profiles import (
    Context,
    Profile,
    Scale,
    limit_at,
    station_cap_at,
)
from sim_chargers.sharing import share
from sim_chargers.vehicle import Vehicle
from sim_chargers.wire import Answer

_log = logging.getLogger(__name__)


class Charger(Life):
    """One station; :meth:`step` is its physics, the rest what drivers do to it."""

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

    @override
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

    @override
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

    def free_connectors(self) -> Iterator[Connector]:
        """Go through the connectors at which a driver may plug in."""
        return (c for c in self.connectors.values() if c.is_free)

    def forget_reservation(self, reservation_id: int) -> bool:
        """Drop a reservation; False where there is none."""
        for connector in self.connectors.values():
            kept = connector.reservation
            if kept is not None and kept.reservation_id == reservation_id:
                connector.reservation = None
                return True
        return False


def _same(one: str, other: str) -> bool:
    """Compare tokens as both versions ask: without regard to case."""
    return one.casefold() == other.casefold()
