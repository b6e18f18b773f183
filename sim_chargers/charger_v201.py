"""The OCPP 2.0.1 dialect of a station (edition 2)."""

import uuid
from collections.abc import Callable
from typing import Any, ClassVar, Final

from typing_extensions import override

from sim_chargers import calls_v201
from sim_chargers.blocks import availability, cost, display
from sim_chargers.blocks.variables import Network
from sim_chargers.certificates import Certificate
from sim_chargers.clock import from_wire, to_wire
from sim_chargers.connector import Connector, Reason, Sample, Transaction
from sim_chargers.device_model import Variable
from sim_chargers.evse import MILLIWH_PER_WH, Charging
from sim_chargers.frames import Payload
from sim_chargers.life import Surroundings
from sim_chargers.modelled_v201 import ModelledCharger
from sim_chargers.monitors import Monitors, factory_monitors, watch
from sim_chargers.outcomes import Reply
from sim_chargers.renewal import COMBINED_KIND
from sim_chargers.samples_v201 import meter_value
from sim_chargers.scenario import StationSpec
from sim_chargers.signed_v201 import signed_value, transfer
from sim_chargers.tokens import Setting, TokenEntry

MAX_CUSTOMERS: Final = 1000  # ended transactions that are remembered

_REASONS: Final = {  # (stoppedReason, triggerReason)
    Reason.LOCAL: ("Local", "StopAuthorized"),
    Reason.REMOTE: ("Remote", "RemoteStop"),
    Reason.EV_DISCONNECTED: ("EVDisconnected", "EVCommunicationLost"),
    Reason.DEAUTHORIZED: ("DeAuthorized", "Deauthorized"),
    Reason.POWER_LOSS: ("PowerLoss", "AbnormalCondition"),
    Reason.RESET: ("ImmediateReset", "ResetCommand"),
    Reason.HARD_RESET: ("ImmediateReset", "ResetCommand"),
    Reason.UNLOCK: ("Other", "UnlockCommand"),
    Reason.MASTER_PASS: ("MasterPass", "StopAuthorized"),
    Reason.TIMEOUT: ("Timeout", "EVConnectTimeout"),
    Reason.FAULT: ("GroundFault", "AbnormalCondition"),
}

_SAMPLE_TRIGGERS: Final = {
    "Sample.Periodic": "MeterValuePeriodic",
    "Sample.Clock": "MeterValueClock",
    "Trigger": "Trigger",
}


class ChargerV201(ModelledCharger):
    """A charging station that speaks OCPP 2.0.1."""

    subprotocol: ClassVar[str] = "ocpp2.0.1"
    malformed_code: ClassVar[str] = "FormatViolation"

    def __init__(
        self, spec: StationSpec, around: Surroundings, faults: frozenset[str]
    ) -> None:
        """Start with the factory device model."""
        super().__init__(spec, around, faults)
        self.monitors = Monitors()
        self.network = Network()
        self.display: dict[int, dict[str, Any]] = {}
        self.contracts: dict[str, Certificate] = {}
        self.customers: list[tuple[str, str, str, str, float]] = []
        self.values_after_reboot: list[tuple[Variable, str]] = []
        temperature = self.model.find("TemperatureSensor", "Temperature")
        assert temperature is not None, "the factory model has it"
        for monitor in factory_monitors(temperature):
            self.monitors.rows[monitor.monitor_id] = monitor
        self.resets_when_idle = False
        self._sampled_every_s = self.sample_interval_s()
        self._handlers = calls_v201.table(self)

    @override
    def handlers(self) -> dict[str, Callable[[Payload], Reply]]:
        """Return the table of served calls."""
        return self._handlers

    @override
    def boot_payload(self) -> dict[str, Any]:
        """Build a BootNotification."""
        return {
            "reason": self.boot_reason,
            "chargingStation": {
                "vendorName": self.spec.vendor[:50],
                "model": self.spec.model[:20],
                "serialNumber": self.spec.id[:25],
                "firmwareVersion": self.firmware.version,
            },
        }

    @override
    def authorize_payload(self, token: str) -> dict[str, Any]:
        """Build an Authorize."""
        return {"idToken": self._id_token(token)}

    @override
    def sign_certificate_payload(self, csr: str, kind: str) -> dict[str, Any]:
        """Build a SignCertificate."""
        if kind == COMBINED_KIND:
            return {"csr": csr}
        return {"csr": csr, "certificateType": kind}

    @override
    def token_entry(self, payload: Payload) -> TokenEntry:
        """Read an idTokenInfo; an answer without one has nothing against it."""
        info = payload.get("idTokenInfo")
        if info is None:
            return TokenEntry()
        until = info.get("cacheExpiryDateTime")
        return TokenEntry(
            status=str(info["status"]),
            group=info.get("groupIdToken", {}).get("idToken"),
            until=None if until is None else from_wire(until),
        )

    @override
    def wire_milliwh(self, register_milliwh: int) -> int:
        """Registers go out with three decimals, so nothing is lost."""
        return register_milliwh

    @override
    def status_of(self, connector: Connector) -> str:
        """Return one of the five states."""
        if connector.fault is not None:
            return "Faulted"
        if connector.transaction is None and not connector.operative:
            return "Unavailable"
        if connector.evse.vehicle is not None or connector.transaction is not None:
            return "Occupied"
        return "Reserved" if connector.reservation is not None else "Available"

    @override
    def send_status(self, connector: Connector, status: str) -> None:
        """Send a StatusNotification for the EVSE's connector."""
        payload = {
            "timestamp": to_wire(self.now()),
            "connectorStatus": status,
            "evseId": connector.number,
            "connectorId": 1,
        }
        self.enqueue("StatusNotification", lambda: payload)

    @override
    def started(
        self, connector: Connector, transaction: Transaction, trigger: str
    ) -> None:
        """Send TransactionEvent(Started)."""
        transaction.wire_id = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        self.profiles.bind_transaction(connector.number, transaction.wire_id)
        begin = transaction.samples[0]

        def answered(answer: Payload) -> None:
            self.session_acknowledged(connector, transaction, ended_milliwh=None)
            self._judge_token(connector, transaction, answer)

        self._event(
            connector,
            transaction,
            kind="Started",
            trigger=trigger,
            sample=begin,
            with_token=bool(transaction.token),
            on_answer=answered,
        )

    @override
    def updated(
        self, connector: Connector, transaction: Transaction, trigger: str
    ) -> None:
        """Send TransactionEvent(Updated) for a cable, a token or its withdrawal."""

        def answered(answer: Payload) -> None:
            self._judge_token(connector, transaction, answer)

        has_token = trigger != "CablePluggedIn"
        if connector.evse.energised or connector.evse.vehicle is not None:
            transaction.charging = Charging.CONNECTED
        self._event(
            connector,
            transaction,
            kind="Updated",
            trigger=trigger,
            sample=connector.sample(self.now(), "Other"),
            with_token=has_token,
            on_answer=answered if has_token else None,
        )

    @override
    def charging_changed(self, connector: Connector, transaction: Transaction) -> None:
        """Send TransactionEvent(Updated, ChargingStateChanged)."""
        sample = connector.sample(self.now(), "Other")
        self._event(
            connector,
            transaction,
            kind="Updated",
            trigger="ChargingStateChanged",
            sample=sample,
        )

    @override
    def send_sample(
        self, connector: Connector, transaction: Transaction, context: str
    ) -> None:
        """Send TransactionEvent(Updated) with a sample."""
        self._event(
            connector,
            transaction,
            kind="Updated",
            trigger=_SAMPLE_TRIGGERS[context],
            sample=connector.sample(self.now(), context),
        )

    @override
    def send_idle_sample(self, connector: Connector, context: str) -> None:
        """Send MeterValues outside a transaction."""
        sample = connector.sample(self.now(), context)
        payload = {"evseId": connector.number, "meterValue": [meter_value(sample)]}
        self.enqueue("MeterValues", lambda: payload)

    @override
    def ended(
        self,
        connector: Connector,
        transaction: Transaction,
        end: Sample,
        reason: Reason,
    ) -> None:
        """Send TransactionEvent(Ended)."""
        stopped, trigger = _REASONS[reason]

        def answered(_answer: Payload) -> None:
            self.session_acknowledged(
                connector, transaction, ended_milliwh=end.register_milliwh
            )

        transaction.charging = (
            Charging.IDLE if reason is Reason.EV_DISCONNECTED else Charging.CONNECTED
        )
        self._event(
            connector,
            transaction,
            kind="Ended",
            trigger=trigger,
            sample=end,
            stopped_reason=stopped,
            with_token=transaction.stop_token is not None,
            on_answer=answered,
        )
        transfer(self, connector, transaction)
        self.customers.append(
            (
                transaction.token.casefold(),
                str(transaction.wire_id),
                to_wire(transaction.started_at),
                to_wire(end.at),
                (end.register_milliwh - transaction.register_start_milliwh)
                / MILLIWH_PER_WH,
            )
        )
        del self.customers[:-MAX_CUSTOMERS]
        if connector.resets_when_idle:
            availability.begin_evse_reset(self, connector)
        if self.resets_when_idle and not self.has_transaction():
            self.resets_when_idle = False
            self.spawn(self.restart(Reason.RESET, "ScheduledReset"))

    @override
    def reservation_over(self, reservation_id: int, status: str) -> None:
        """Send ReservationStatusUpdate (H04)."""
        payload = {
            "reservationId": reservation_id,
            "reservationUpdateStatus": status,
        }
        self.enqueue("ReservationStatusUpdate", lambda: payload)

    @override
    def restarted(self) -> None:
        """Take over variables that waited for a restart, and the network's choice."""
        for variable, value in self.values_after_reboot:
            variable.value = value
        self.values_after_reboot.clear()
        priority = self.model.text("OCPPCommCtrlr", "NetworkConfigurationPriority")
        self.link.prefer(self.network.urls(priority, self.around.url))

    @override
    def observe(self) -> None:
        """Also watch the monitored variables and the display."""
        super().observe()
        if not self.is_restarting:
            watch(self)
            display.expire(self)

    def apply_variables(self) -> None:
        """Let changed variables take effect."""
        interval_s = float(self.model.text("OCPPCommCtrlr", "HeartbeatInterval"))
        if interval_s > 0:
            self.heartbeat_interval_s = interval_s
        self.outbox.attempts = int(self.model.text("OCPPCommCtrlr", "MessageAttempts"))
        retry_s = float(self.model.text("OCPPCommCtrlr", "MessageAttemptInterval"))
        self.outbox.retry_interval_s = retry_s
        if self.sample_interval_s() != self._sampled_every_s:
            self._sampled_every_s = self.sample_interval_s()
            self.restart_sampling()

    def _judge_token(
        self, connector: Connector, transaction: Transaction, answer: Payload
    ) -> None:
        entry = self.token_entry(answer)
        if "idTokenInfo" in answer:
            self.tokens.remember(transaction.token, entry)
            transaction.group = entry.group
        stops = not entry.is_accepted and self.is_set(Setting.STOP_ON_INVALID)
        if stops and connector.transaction is transaction:
            self.stop(connector, Reason.DEAUTHORIZED)

    def _event(
        self,
        connector: Connector,
        transaction: Transaction,
        *,
        kind: str,
        trigger: str,
        sample: Sample,
        stopped_reason: str | None = None,
        with_token: bool = False,
        on_answer: Callable[[Payload], None] | None = None,
    ) -> None:
        info: dict[str, Any] = {
            "transactionId": transaction.wire_id,
            "chargingState": transaction.charging.value,
        }
        if stopped_reason is not None:
            info["stoppedReason"] = stopped_reason
        if transaction.remote_start_id is not None:
            info["remoteStartId"] = transaction.remote_start_id
        payload: dict[str, Any] = {
            "eventType": kind,
            "timestamp": to_wire(sample.at),
            "triggerReason": trigger,
            "seqNo": transaction.seq_no,
            "offline": not self.is_online,
            "transactionInfo": info,
            "evse": {"id": connector.number, "connectorId": 1},
            "meterValue": [signed_value(self, connector, transaction, sample)],
        }
        if with_token:
            shown = transaction.stop_token or transaction.token
            payload["idToken"] = self._id_token(shown)
        if kind == "Started" and transaction.reservation_id is not None:
            payload["reservationId"] = transaction.reservation_id
        transaction.seq_no += 1

        def answered(answer: Payload) -> None:
            self._show(payload, answer)
            if on_answer is not None:
                on_answer(answer)

        self.enqueue(
            "TransactionEvent", lambda: payload, durable=True, on_answer=answered
        )

    def _id_token(self, token: str) -> dict[str, Any]:
        is_contract = token.casefold() in self.contracts
        return {"idToken": token, "type": "eMAID" if is_contract else "ISO14443"}

    def _show(self, payload: Payload, answer: Payload) -> None:
        """Show cost and personal message of an answer (I02, I03)."""
        transaction_id = str(payload["transactionInfo"]["transactionId"])
        is_final = payload["eventType"] == "Ended"
        if "totalCost" in answer:
            amount = float(answer["totalCost"])
            self.costs.note(transaction_id, amount, is_final=is_final)
            cost.show_cost(self, transaction_id, amount, is_final=is_final)
        if "updatedPersonalMessage" in answer:
            text = str(answer["updatedPersonalMessage"]["content"])
            self.around.events.emit(
                "message_shown", station=self.spec.id, id=None, content=text
            )
