"""The OCPP 2.0.1 dialect of a station (edition 2)."""

import uuid
from collections.abc import Callable
from typing import Any, ClassVar, Final

from typing_extensions import override

from sim_chargers import calls_v201, device_model
from sim_chargers.charger import Charger
from sim_chargers.clock import to_wire
from sim_chargers.connector import Connector, Reason, Sample, Transaction
from sim_chargers.evse import MILLIWH_PER_WH, Charging
from sim_chargers.frames import Payload
from sim_chargers.life import Surroundings
from sim_chargers.scenario import StationSpec
from sim_chargers.wire import Reply

_REASONS: Final = {  # (stoppedReason, triggerReason)
    Reason.LOCAL: ("Local", "StopAuthorized"),
    Reason.REMOTE: ("Remote", "RemoteStop"),
    Reason.EV_DISCONNECTED: ("EVDisconnected", "EVCommunicationLost"),
    Reason.DEAUTHORIZED: ("DeAuthorized", "Deauthorized"),
    Reason.POWER_LOSS: ("PowerLoss", "AbnormalCondition"),
    Reason.RESET: ("ImmediateReset", "ResetCommand"),
    Reason.HARD_RESET: ("ImmediateReset", "ResetCommand"),
    Reason.UNLOCK: ("Other", "UnlockCommand"),
}

_SAMPLE_TRIGGERS: Final = {
    "Sample.Periodic": "MeterValuePeriodic",
    "Sample.Clock": "MeterValueClock",
    "Trigger": "Trigger",
}


class ChargerV201(Charger):
    """A charging station that speaks OCPP 2.0.1."""

    subprotocol: ClassVar[str] = "ocpp2.0.1"
    malformed_code: ClassVar[str] = "FormatViolation"

    def __init__(
        self, spec: StationSpec, around: Surroundings, faults: frozenset[str]
    ) -> None:
        """Start with the factory device model."""
        super().__init__(spec, around, faults)
        self.model = device_model.standard(
            evses=[
                (
                    e.evse_id,
                    e.native_max
                    if e.is_dc
                    else e.native_max * e.nominal_v * len(e.phases),
                    len(e.phases),
                )
                for e in spec.evses
            ],
        )
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
                "firmwareVersion": self.spec.firmware,
            },
        }

    @override
    def authorize_payload(self, token: str) -> dict[str, Any]:
        """Build an Authorize."""
        return {"idToken": _id_token(token)}

    @override
    def token_status(self, payload: Payload) -> str:
        """Read the verdict on a token; an answer without one has nothing against it."""
        info = payload.get("idTokenInfo")
        return "Accepted" if info is None else str(info["status"])

    @override
    def allows_unknown_offline(self) -> bool:
        """Read AuthCtrlr.OfflineTxForUnknownIdEnabled."""
        return self.model.is_true("AuthCtrlr", "OfflineTxForUnknownIdEnabled")

    @override
    def sample_interval_s(self) -> float:
        """Read SampledDataCtrlr.TxUpdatedInterval."""
        return float(self.model.text("SampledDataCtrlr", "TxUpdatedInterval"))

    @override
    def aligned_interval_s(self) -> float:
        """Read AlignedDataCtrlr.Interval."""
        return float(self.model.text("AlignedDataCtrlr", "Interval"))

    @override
    def wire_milliwh(self, register_milliwh: int) -> int:
        """Registers go out with three decimals, so nothing is lost."""
        return register_milliwh

    @override
    def status_of(self, connector: Connector) -> str:
        """Return one of the five states."""
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
            with_token=True,
            on_answer=answered,
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
            with_token=reason is Reason.LOCAL,
            on_answer=answered,
        )
        if self.resets_when_idle and not self.has_transaction():
            self.resets_when_idle = False
            self.spawn(self.restart(Reason.RESET, "ScheduledReset"))

    def has_transaction(self) -> bool:
        """Whether any EVSE has a running transaction."""
        return any(c.transaction is not None for c in self.connectors.values())

    def transaction_connector(self, transaction_id: str) -> Connector | None:
        """Find the connector of a running transaction."""
        for connector in self.connectors.values():
            transaction = connector.transaction
            if transaction is not None and transaction.wire_id == transaction_id:
                return connector
        return None

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
        refused = self.token_status(answer) != "Accepted"
        stops = refused and self.model.is_true("TxCtrlr", "StopTxOnInvalidId")
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
            "meterValue": [meter_value(sample)],
        }
        if with_token:
            payload["idToken"] = _id_token(transaction.token)
        if kind == "Started" and transaction.reservation_id is not None:
            payload["reservationId"] = transaction.reservation_id
        transaction.seq_no += 1
        self.enqueue(
            "TransactionEvent", lambda: payload, durable=True, on_answer=on_answer
        )


def _id_token(token: str) -> dict[str, Any]:
    return {"idToken": token, "type": "ISO14443"}


def meter_value(sample: Sample) -> dict[str, Any]:
    """Write everything that was measured; values are numbers in 2.0.1."""
    values: list[dict[str, Any]] = [
        {
            # Exact: the shortest text of a float this small keeps three decimals.
            "value": sample.register_milliwh / MILLIWH_PER_WH,
            "measurand": "Energy.Active.Import.Register",
            "unitOfMeasure": {"unit": "Wh"},
        },
        {
            "value": round(sample.power_w, 1),
            "measurand": "Power.Active.Import",
            "unitOfMeasure": {"unit": "W"},
        },
    ]
    values.extend(
        {
            "value": round(current_a, 2),
            "measurand": "Current.Import",
            "phase": f"L{terminal + 1}",
            "unitOfMeasure": {"unit": "A"},
        }
        for terminal, current_a in enumerate(sample.phase_a)
    )
    is_dc = not sample.phase_a
    values.append(
        {
            "value": round(sample.offered, 1),
            "measurand": "Power.Offered" if is_dc else "Current.Offered",
            "unitOfMeasure": {"unit": "W" if is_dc else "A"},
        }
    )
    if sample.soc_percent is not None:
        values.append(
            {
                "value": round(sample.soc_percent, 1),
                "measurand": "SoC",
                "unitOfMeasure": {"unit": "Percent"},
            }
        )
    for value in values:
        value["context"] = sample.context
    return {"timestamp": to_wire(sample.at), "sampledValue": values}
