"""The OCPP 1.6J dialect of a station (OCPP 1.6 edition 2)."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from typing_extensions import override

from sim_chargers import calls_v16, signed_v16
from sim_chargers.blocks import cost
from sim_chargers.charger import Charger
from sim_chargers.clock import from_wire, to_wire
from sim_chargers.connector import Connector, Reason, Sample, Transaction
from sim_chargers.evse import MILLIWH_PER_WH, Charging
from sim_chargers.frames import Payload
from sim_chargers.keys_v16 import DEFAULT_KEYS
from sim_chargers.life import Surroundings
from sim_chargers.outcomes import Reply
from sim_chargers.quirks import ABSURD_NUMBER
from sim_chargers.scenario import StationSpec
from sim_chargers.tokens import Setting, TokenEntry

NO_TRANSACTION_ID: Final = -1  # the start was refused for good

_REASONS: Final = {
    Reason.LOCAL: "Local",
    Reason.REMOTE: "Remote",
    Reason.EV_DISCONNECTED: "EVDisconnected",
    Reason.DEAUTHORIZED: "DeAuthorized",
    Reason.POWER_LOSS: "PowerLoss",
    Reason.RESET: "SoftReset",
    Reason.HARD_RESET: "HardReset",
    Reason.UNLOCK: "UnlockCommand",
    Reason.MASTER_PASS: "Local",
    Reason.TIMEOUT: "Other",
    Reason.FAULT: "Other",
}

_SETTINGS: Final = {
    Setting.AUTHORISE_REMOTE: "AuthorizeRemoteTxRequests",
    Setting.CACHE_ENABLED: "AuthorizationCacheEnabled",
    Setting.LIST_ENABLED: "LocalAuthListEnabled",
    Setting.LOCAL_OFFLINE: "LocalAuthorizeOffline",
    Setting.LOCAL_PREAUTHORISE: "LocalPreAuthorize",
    Setting.STOP_ON_INVALID: "StopTransactionOnInvalidId",
    Setting.UNKNOWN_OFFLINE: "AllowOfflineTxForUnknownId",
}

_STATES: Final = {
    Charging.CHARGING: "Charging",
    Charging.SUSPENDED_EV: "SuspendedEV",
    Charging.SUSPENDED_EVSE: "SuspendedEVSE",
    Charging.CONNECTED: "Preparing",
    Charging.IDLE: "Preparing",
}


class ChargerV16(Charger):
    """A charge point that speaks OCPP 1.6J."""

    subprotocol: ClassVar[str] = "ocpp1.6"
    malformed_code: ClassVar[str] = "FormationViolation"

    def __init__(
        self, spec: StationSpec, around: Surroundings, faults: frozenset[str]
    ) -> None:
        """Start with the factory configuration."""
        super().__init__(spec, around, faults)
        self.factory_keys = DEFAULT_KEYS | signed_v16.meter_keys(self)
        self.keys = {key: value for key, (value, _) in self.factory_keys.items()}
        is_absurd = "absurd-values" in self.faults
        n_connector = ABSURD_NUMBER if is_absurd else len(spec.evses)
        self.keys["NumberOfConnectors"] = str(n_connector)
        self.keys_after_reboot: dict[str, str] = {}
        self._handlers = calls_v16.table(self)

    @override
    def handlers(self) -> dict[str, Callable[[Payload], Reply]]:
        """Return the table of served calls."""
        return self._handlers

    @override
    def boot_payload(self) -> dict[str, Any]:
        """Build a BootNotification."""
        return {
            "chargePointVendor": self.spec.vendor[:20],
            "chargePointModel": self.spec.model[:20],
            "chargePointSerialNumber": self.spec.id[:25],
            "firmwareVersion": self.firmware.version,
            "meterType": "simulated",
        }

    @override
    def authorize_payload(self, token: str) -> dict[str, Any]:
        """Build an Authorize."""
        return {"idTag": token}

    @override
    def sign_certificate_payload(self, csr: str, kind: str) -> dict[str, Any]:
        """Build a SignCertificate."""
        del kind  # there is one only
        return {"csr": csr}

    @override
    def token_entry(self, payload: Payload) -> TokenEntry:
        """Read an IdTagInfo."""
        info = payload["idTagInfo"]
        until = info.get("expiryDate")
        return TokenEntry(
            status=str(info["status"]),
            group=info.get("parentIdTag"),
            until=None if until is None else from_wire(until),
        )

    @override
    def is_set(self, setting: Setting) -> bool:
        """Read one of the settings that both versions have."""
        return self.is_true(_SETTINGS[setting])

    @override
    def connection_timeout_s(self) -> float:
        """Read ConnectionTimeOut."""
        return float(self.keys["ConnectionTimeOut"])

    @override
    def sample_interval_s(self) -> float:
        """Read MeterValueSampleInterval."""
        return float(self.keys["MeterValueSampleInterval"])

    @override
    def aligned_interval_s(self) -> float:
        """Read ClockAlignedDataInterval."""
        return float(self.keys["ClockAlignedDataInterval"])

    def is_true(self, key: str) -> bool:
        """Read a boolean key."""
        return self.keys[key].casefold() == "true"

    @override
    def wire_milliwh(self, register_milliwh: int) -> int:
        """Registers are whole Wh in 1.6 transactions."""
        return register_milliwh // MILLIWH_PER_WH * MILLIWH_PER_WH

    @override
    def status_of(self, connector: Connector) -> str:
        """Return one of the nine states (OCPP 1.6, 4.9)."""
        if connector.fault is not None:
            return "Faulted"
        if connector.transaction is not None:
            return _STATES[connector.evse.charging]
        if not connector.operative:
            return "Unavailable"
        if connector.finishing:
            return "Finishing"
        waits = connector.authorised is not None or connector.remote_start is not None
        if connector.evse.vehicle is not None or waits:
            return "Preparing"
        return "Reserved" if connector.reservation is not None else "Available"

    @override
    def send_status(self, connector: Connector, status: str) -> None:
        """Send a StatusNotification for a connector."""
        self.notify_status(connector.number, status, connector.fault or "NoError")

    def notify_status(self, number: int, status: str, error: str = "NoError") -> None:
        """Send a StatusNotification; connector 0 is the charge point."""
        payload = {
            "connectorId": number,
            "errorCode": error,
            "status": status,
            "timestamp": to_wire(self.now()),
        }
        self.enqueue("StatusNotification", lambda: payload)

    @override
    def accepted(self) -> None:
        """Report the charge point itself, which is connector 0 (4.9)."""
        usable = any(c.operative for c in self.connectors.values())
        self.notify_status(0, "Available" if usable else "Unavailable")

    @override
    def started(
        self, connector: Connector, transaction: Transaction, trigger: str
    ) -> None:
        """Send StartTransaction; the answer brings the id."""
        del trigger  # 1.6 does not say why
        payload: dict[str, Any] = {
            "connectorId": connector.number,
            "idTag": transaction.token,
            "meterStart": transaction.register_start_milliwh // MILLIWH_PER_WH,
            "timestamp": to_wire(transaction.started_at),
        }
        if transaction.reservation_id is not None:
            payload["reservationId"] = transaction.reservation_id

        def answered(answer: Payload) -> None:
            transaction.wire_id = str(answer["transactionId"])
            if connector.transaction is transaction:
                self.profiles.bind_transaction(connector.number, transaction.wire_id)
            self.session_acknowledged(connector, transaction, ended_milliwh=None)
            entry = self.token_entry(answer)
            self.tokens.remember(transaction.token, entry)
            transaction.group = entry.group
            stops = not entry.is_accepted and self.is_set(Setting.STOP_ON_INVALID)
            if stops and connector.transaction is transaction:
                self.stop(connector, Reason.DEAUTHORIZED)

        self.enqueue(
            "StartTransaction",
            lambda: payload,
            durable=True,
            on_answer=answered,
            transaction=transaction,
        )
        signed_v16.begun(self, connector, transaction)

    @override
    def charging_changed(self, connector: Connector, transaction: Transaction) -> None:
        """Nothing of its own: the connector status says it."""

    @override
    def send_sample(
        self, connector: Connector, transaction: Transaction, context: str
    ) -> None:
        """Send MeterValues within a transaction."""
        sample = connector.sample(self.now(), context)

        def build() -> dict[str, Any]:
            return {
                "connectorId": connector.number,
                "transactionId": wire_transaction_id(transaction),
                "meterValue": [self.meter_value(sample, _list_of(context))],
            }

        self.enqueue("MeterValues", build, durable=True, transaction=transaction)
        signed_v16.sampled(self, connector, transaction, sample)

    @override
    def send_idle_sample(self, connector: Connector, context: str) -> None:
        """Send MeterValues outside a transaction."""
        sample = connector.sample(self.now(), context)
        payload = {
            "connectorId": connector.number,
            "meterValue": [self.meter_value(sample, _list_of(context))],
        }
        self.enqueue("MeterValues", lambda: payload)

    @override
    def ended(
        self,
        connector: Connector,
        transaction: Transaction,
        end: Sample,
        reason: Reason,
    ) -> None:
        """Send StopTransaction with the readings at both ends."""
        connector.last_transaction_id = transaction.wire_id
        data = [self.meter_value(s, "StopTxnSampledData") for s in transaction.samples]
        data += signed_v16.ended(self, connector, transaction, end)

        def build() -> dict[str, Any]:
            payload: dict[str, Any] = {
                "transactionId": wire_transaction_id(transaction),
                "meterStop": end.register_milliwh // MILLIWH_PER_WH,
                "timestamp": to_wire(end.at),
                "reason": _REASONS[reason],
                "transactionData": [d for d in data if d["sampledValue"]],
            }
            if transaction.stop_token is not None:
                payload["idTag"] = transaction.stop_token
            return payload

        def answered(_answer: Payload) -> None:
            self.session_acknowledged(
                connector, transaction, ended_milliwh=end.register_milliwh
            )

        self.enqueue(
            "StopTransaction",
            build,
            durable=True,
            on_answer=answered,
            transaction=transaction,
        )
        signed_v16.transfer(self, connector, transaction)

    def meter_value(self, sample: Sample, key: str) -> dict[str, Any]:
        """Write a sample with the measurands that a key lists."""
        wanted = {word.strip() for word in self.keys[key].split(",")}
        values = [v for v in sampled_values(sample) if v["measurand"] in wanted]
        for value in values:
            value["context"] = sample.context
        return {"timestamp": to_wire(sample.at), "sampledValue": values}

    def reset(self, kind: str) -> None:
        """Restart after a Reset request."""
        reason = Reason.HARD_RESET if kind == "Hard" else Reason.RESET
        self.spawn(self.restart(reason, "RemoteReset"))

    @override
    def restarted(self) -> None:
        """Take over keys that waited for a restart."""
        self.keys.update(self.keys_after_reboot)
        self.keys_after_reboot.clear()

    def secure_link(self) -> None:
        """Come back over TLS; after three failures as before (A05)."""
        url = self.link.url
        if url.startswith("ws:"):
            self.link.prefer([f"wss:{url.removeprefix('ws:')}", url])
        self.spawn(self.link.drop())

    @override
    def observe(self) -> None:
        """Also send the samples that a running cost asked for."""
        super().observe()
        cost.sample_when_due(self)

    @override
    def cable_changed(self, connector: Connector) -> None:
        """Tell about a cable that was taken after a transaction."""
        if connector.evse.vehicle is None:
            cost.tell_unplugged(self, connector)

    def apply_key(self, key: str) -> None:
        """Let a changed configuration key take effect."""
        if key == "HeartbeatInterval" and float(self.keys[key]) > 0:
            self.heartbeat_interval_s = float(self.keys[key])
        self.outbox.attempts = int(self.keys["TransactionMessageAttempts"])
        self.outbox.retry_interval_s = float(
            self.keys["TransactionMessageRetryInterval"]
        )
        if key == "MeterValueSampleInterval":
            self.restart_sampling()


def _list_of(context: str) -> str:
    """Name the key that lists the measurands of a sample."""
    is_aligned = context == "Sample.Clock"
    return "MeterValuesAlignedData" if is_aligned else "MeterValuesSampledData"


def wire_transaction_id(transaction: Transaction) -> int:
    """Return the id that the central system gave."""
    if transaction.wire_id is None:
        return NO_TRANSACTION_ID
    return int(transaction.wire_id)


def sampled_values(sample: Sample) -> list[dict[str, Any]]:
    """Write everything that was measured; all values are texts in 1.6."""
    values: list[dict[str, Any]] = [
        {
            "value": str(sample.register_milliwh // MILLIWH_PER_WH),
            "measurand": "Energy.Active.Import.Register",
            "unit": "Wh",
        },
        {
            "value": f"{sample.power_w:.1f}",
            "measurand": "Power.Active.Import",
            "unit": "W",
        },
    ]
    values.extend(
        {
            "value": f"{current_a:.2f}",
            "measurand": "Current.Import",
            "phase": f"L{terminal + 1}",
            "unit": "A",
        }
        for terminal, current_a in enumerate(sample.phase_a)
    )
    if sample.phase_a:
        values.append(
            {
                "value": f"{sample.offered:.1f}",
                "measurand": "Current.Offered",
                "unit": "A",
            }
        )
    else:
        values.append(
            {
                "value": f"{sample.offered:.0f}",
                "measurand": "Power.Offered",
                "unit": "W",
            }
        )
    if sample.soc_percent is not None:
        values.append(
            {
                "value": f"{sample.soc_percent:.1f}",
                "measurand": "SoC",
                "unit": "Percent",
            }
        )
    return values
