"""A charging station, whatever its OCPP version: power, cables, cards and limits.

The two dialects (:mod:`charger_v16`, :mod:`charger_v201`) turn what happens here into
messages and answer the calls of the central system.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from typing_extensions import override

from sim_chargers.admission import Admission
from sim_chargers.connector import Connector, Reason, RemoteStart, Transaction
from sim_chargers.evse import Charging
from sim_chargers.profiles import (
    Context,
    Profile,
    Scale,
    limit_at,
    station_cap_at,
)
from sim_chargers.sharing import share
from sim_chargers.tokens import TokenEntry, same
from sim_chargers.vehicle import Vehicle

_log = logging.getLogger(__name__)


class Charger(Admission):
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
            self.reservation_over(connector.reservation.reservation_id, "Expired")
            connector.reservation = None
        until = connector.authorised_until
        if until is not None and now >= until and connector.evse.vehicle is None:
            connector.authorised = connector.authorised_until = None
            if connector.transaction is not None:
                self.stop(connector, Reason.TIMEOUT)

    # --- drivers --------------------------------------------------------------------

    def plug_in(self, evse_id: int, vehicle: Vehicle) -> bool:
        """Connect a car; False where there is no room for it."""
        connector = self.connectors[evse_id]
        if connector.evse.vehicle is not None:
            return False
        connector.evse.vehicle = vehicle
        connector.finishing = False
        remote = connector.remote_start
        if connector.transaction is not None:
            self._energise(connector, connector.transaction, "CablePluggedIn")
        elif remote is not None and not self.is_restarting:
            connector.remote_start = None
            self.start(connector, remote.token, trigger="RemoteStart", remote=remote)
        elif connector.authorised is not None:
            self.start(connector, connector.authorised, trigger="CablePluggedIn")
        elif self.begins_with("EVConnected") and not self.is_restarting:
            self.start(connector, "", trigger="CablePluggedIn")
        else:
            self.cable_changed(connector)
        return True

    async def present_token(self, evse_id: int, token: str) -> bool:
        """Show a card: starts or stops; False where it is refused."""
        connector = self.connectors[evse_id]
        if self.is_restarting or not connector.is_usable:
            return False
        running = connector.transaction
        if running is not None and running.token:
            return await self._stop_by_token(connector, running, token)
        kept = connector.reservation
        if kept is not None and kept.group is None and not same(kept.token, token):
            return False
        entry = await self.verdict(token)
        if not entry.is_accepted or self._is_master_pass(entry):
            return False
        if (
            kept is not None
            and not same(kept.token, token)
            and (entry.group is None or not same(str(kept.group), entry.group))
        ):
            return False
        return self._admit(connector, token, entry)

    async def _stop_by_token(
        self, connector: Connector, running: Transaction, token: str
    ) -> bool:
        """Stop for the owner, for the group, or for the master pass (C09, C16)."""
        reason = Reason.LOCAL
        if not same(running.token, token):
            entry = await self.verdict(token)
            is_group = entry.is_accepted and entry.group is not None
            if self._is_master_pass(entry):
                reason = Reason.MASTER_PASS
            elif not is_group or running.group != entry.group:
                return False
            if connector.transaction is not running:
                return False
        running.stop_token = token
        if reason is Reason.LOCAL and not self.ends_with_token():
            connector.evse.energised = False
            self.updated(connector, running, "StopAuthorized")
            running.token = ""
        else:
            self.stop(connector, reason)
        return True

    def _is_master_pass(self, entry: TokenEntry) -> bool:
        group = self.master_pass_group()
        return bool(group) and entry.group is not None and same(group, entry.group)

    def _admit(self, connector: Connector, token: str, entry: TokenEntry) -> bool:
        """Start for an authorised token; much may have happened since it was shown."""
        if self.is_restarting:
            return False
        running = connector.transaction
        if running is not None:
            if running.token:
                return same(running.token, token)
            running.token, running.group = token, entry.group
            self._energise(connector, running, "Authorized")
            return True
        if connector.evse.vehicle is not None:
            self.start(connector, token, trigger="Authorized")
            return True
        connector.authorised = token
        wait = timedelta(seconds=self.connection_timeout_s())
        connector.authorised_until = self.now() + wait
        if self.begins_with("Authorized"):
            self.start(connector, token, trigger="Authorized")
        return True

    def _energise(
        self, connector: Connector, running: Transaction, trigger: str
    ) -> None:
        """Go on with a transaction that began before the power path was closed."""
        has_car = connector.evse.vehicle is not None
        connector.evse.energised = bool(running.token) and has_car
        if has_car:
            connector.authorised = connector.authorised_until = None
        self.updated(connector, running, trigger)

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
        known = self.known(token)
        transaction.group = None if known is None else known.group
        has_car = connector.evse.vehicle is not None
        connector.reservation = None
        if has_car:
            connector.authorised = connector.authorised_until = None
        else:
            transaction.charging = Charging.IDLE
        connector.transaction = transaction
        connector.evse.energised = bool(token) and has_car
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
        connector.finishing = connector.evse.vehicle is not None
        connector.authorised = connector.authorised_until = None
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
        running = connector.transaction
        if running is not None and not running.token:
            running.token = remote.token
            running.remote_start_id = remote.remote_start_id
            self._energise(connector, running, "RemoteStart")
            return
        if running is not None or self.is_restarting:
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

    def has_transaction(self) -> bool:
        """Whether any EVSE has a running transaction."""
        return any(c.transaction is not None for c in self.connectors.values())

    def free_connectors(self) -> Iterator[Connector]:
        """Go through the connectors at which a driver may plug in."""
        return (c for c in self.connectors.values() if c.is_free)

    def break_connector(self, connector: Connector, code: str | None) -> None:
        """Let a connector break with an error code of 1.6, or mend it with None."""
        connector.fault = code
        if code is not None:
            self.drop_reservation(connector)
            if connector.transaction is not None:
                self.stop(connector, Reason.FAULT)

    def transaction_connector(self, transaction_id: str) -> Connector | None:
        """Find the connector of a running transaction."""
        for connector in self.connectors.values():
            transaction = connector.transaction
            if transaction is not None and transaction.wire_id == transaction_id:
                return connector
        return None
