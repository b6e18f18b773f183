"""OCPP 2.0.1: the CALLs that we send."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from gateway.domain.effects import Expectation
from gateway.domain.ids import IdToken
from gateway.domain.limits import Purpose, SetLimit
from gateway.errors import ErrorKind, RemoteError
from gateway.ocpp.adapter import CallOutcome, Command, ReservationAsked
from gateway.ocpp.outbound import (
    CLEAR,
    NOTHING_TO_CLEAR,
    asked_time,
    integer,
    periods,
    profile_kind,
    read_status,
    schedule_start,
)
from gateway.ocpp.schema import Direction, Version
from gateway.ocpp.signing_words import ToldSetting, variable_commands
from gateway.ocpp.tolerant import check
from gateway.ocpp.v201_effects import expected

PASSWORD: Final = ("SecurityCtrlr", "BasicAuthPassword")
REQUESTS: Final = frozenset(
    {
        "CancelReservation",
        "CertificateSigned",
        "ChangeAvailability",
        "ClearCache",
        "ClearChargingProfile",
        "ClearDisplayMessage",
        "ClearVariableMonitoring",
        "CostUpdated",
        "CustomerInformation",
        "DataTransfer",
        "DeleteCertificate",
        "GetBaseReport",
        "GetChargingProfiles",
        "GetCompositeSchedule",
        "GetDisplayMessages",
        "GetInstalledCertificateIds",
        "GetLocalListVersion",
        "GetLog",
        "GetMonitoringReport",
        "GetReport",
        "GetTransactionStatus",
        "GetVariables",
        "InstallCertificate",
        "PublishFirmware",
        "RequestStartTransaction",
        "RequestStopTransaction",
        "ReserveNow",
        "Reset",
        "SendLocalList",
        "SetChargingProfile",
        "SetDisplayMessage",
        "SetMonitoringBase",
        "SetMonitoringLevel",
        "SetNetworkProfile",
        "SetVariableMonitoring",
        "SetVariables",
        "TriggerMessage",
        "UnlockConnector",
        "UnpublishFirmware",
        "UpdateFirmware",
    }
)
"""Actions of a CSMS."""

STACK_LEVEL: Final = 0
"""Level of our profiles: the only one that every station has."""
SAMPLED: Final = "Energy.Active.Import.Register,Power.Active.Import,Current.Import"
REGISTER_ONLY: Final = "Energy.Active.Import.Register"
DEFAULT_TOKEN_KIND: Final = "Central"  # noqa: S105 - a kind of token, no secret
"""``IdTokenEnumType`` of a token made by us (2.0.1, IdTokenEnumType)."""
_PURPOSES: Final = {
    Purpose.SESSION: "TxProfile",
    Purpose.DEFAULT: "TxDefaultProfile",
    Purpose.STATION_MAX: "ChargingStationMaxProfile",
}
_CONNECTOR_MESSAGES: Final = frozenset({"StatusNotification"})
"""Triggers that must name the connector (2.0.1, F06.FR.12)."""


class V201Commands:
    """Neutral commands in 2.0.1 spelling; the sending half of the adapter."""

    def check_request(self, action: str, payload: bytes) -> None:
        """See ``Adapter.check_request``."""
        if action not in REQUESTS:
            raise RemoteError(
                ErrorKind.NOT_IMPLEMENTED, f"{action} is not sent to stations"
            )
        check(Version.V201, action, Direction.REQUEST, payload)

    def check_response(self, action: str, payload: bytes) -> None:
        """See ``Adapter.check_response``."""
        if action not in REQUESTS:
            raise RemoteError(ErrorKind.NOT_IMPLEMENTED, f"{action} is not answered")
        check(Version.V201, action, Direction.RESPONSE, payload)

    def encode_limit(self, command: SetLimit) -> Command:
        """SetChargingProfile (2.0.1, K01): absolute, so with ``startSchedule``.

        A relative one counts from the start of the session and has none.

        Raises:
            ValueError: A session's limit without a transaction id.
        """
        profile: dict[str, object] = {
            "id": command.profile_id,
            "stackLevel": STACK_LEVEL,
            "chargingProfilePurpose": _PURPOSES[command.purpose],
            "chargingProfileKind": profile_kind(command),
        }
        if command.purpose is Purpose.SESSION:
            if command.transaction_id is None:
                raise ValueError("a session's limit needs its transaction id")
            profile["transactionId"] = command.transaction_id
        profile["chargingSchedule"] = [
            {
                "id": command.profile_id,
                "chargingRateUnit": command.unit.value,
                "chargingSchedulePeriod": periods(command),
                **schedule_start(command),
            }
        ]
        station_wide = command.purpose is Purpose.STATION_MAX
        return Command(
            action="SetChargingProfile",
            payload={
                "evseId": 0 if station_wide else command.evse_id,
                "chargingProfile": profile,
            },
        )

    def encode_clear_limits(self) -> tuple[Command, ...]:
        """ClearChargingProfile of each purpose, on all levels and EVSEs.

        2.0.1 wants a criterion (K10). Defaults go last, so that ours is missing
        no longer than needed. External constraints are not ours to clear (K10);
        they only lower what profiles allow.
        """
        purposes = (Purpose.STATION_MAX, Purpose.SESSION, Purpose.DEFAULT)
        return tuple(
            Command(
                action=CLEAR,
                payload={
                    "chargingProfileCriteria": {
                        "chargingProfilePurpose": _PURPOSES[purpose]
                    }
                },
            )
            for purpose in purposes
        )

    def encode_composite(self, evse_id: int, duration_s: int) -> Command:
        """See ``Adapter.encode_composite``."""
        return Command(
            action="GetCompositeSchedule",
            payload={
                "duration": duration_s,
                "chargingRateUnit": "A",
                "evseId": evse_id,
            },
        )

    def encode_trigger(self, message: str, evse_id: int | None) -> Command:
        """See ``Adapter.encode_trigger``."""
        payload: dict[str, object] = {"requestedMessage": message}
        if evse_id is not None:
            evse: dict[str, object] = {"id": evse_id}
            if message in _CONNECTOR_MESSAGES:
                evse["connectorId"] = 1
            payload["evse"] = evse
        return Command(action="TriggerMessage", payload=payload)

    def encode_sample_trigger(self, evse_id: int) -> Command:
        """See ``Adapter.encode_sample_trigger``.

        A TransactionEvent has what is sampled of the transaction (F06); MeterValues
        would be those aligned to the clock, and of no transaction.
        """
        return self.encode_trigger("TransactionEvent", evse_id)

    def encode_setup(self, *, sample_interval_s: int) -> tuple[Command, ...]:
        """SetVariables of SampledDataCtrlr (2.0.1 part 2, J02).

        One variable per message: some stations take no more.
        """
        settings = {
            "TxStartedMeasurands": REGISTER_ONLY,
            "TxUpdatedMeasurands": SAMPLED,
            "TxEndedMeasurands": REGISTER_ONLY,
            "TxUpdatedInterval": str(sample_interval_s),
        }
        return tuple(
            Command(
                action="SetVariables",
                payload={
                    "setVariableData": [
                        {
                            "attributeValue": value,
                            "component": {"name": "SampledDataCtrlr"},
                            "variable": {"name": name},
                        }
                    ]
                },
            )
            for name, value in settings.items()
        )

    def encode_ping_interval(self, interval_s: int) -> Command:
        """SetVariables of OCPPCommCtrlr.WebSocketPingInterval (2.0.1 part 4, 8.4)."""
        item = {
            "attributeValue": str(interval_s),
            "component": {"name": "OCPPCommCtrlr"},
            "variable": {"name": "WebSocketPingInterval"},
        }
        return Command(action="SetVariables", payload={"setVariableData": [item]})

    def encode_resending(self, name: str, value: int) -> Command:
        """SetVariables of OCPPCommCtrlr.MessageAttempts and its interval (E13)."""
        name, _, instance = name.partition("/")
        variable = {"name": name} | ({"instance": instance} if instance else {})
        item = {
            "attributeValue": str(value),
            "component": {"name": "OCPPCommCtrlr"},
            "variable": variable,
        }
        return Command(action="SetVariables", payload={"setVariableData": [item]})

    def encode_signing(self, told: Sequence[ToldSetting]) -> tuple[Command, ...]:
        """SetVariables of the variables that have begin and end signed (J01)."""
        return variable_commands(told)

    def encode_remote_start(
        self, evse_id: int | None, token: IdToken, remote_start_id: int
    ) -> Command:
        """RequestStartTransaction (2.0.1, F01)."""
        payload: dict[str, object] = {
            "remoteStartId": remote_start_id,
            "idToken": {
                "idToken": token.value,
                "type": token.kind or DEFAULT_TOKEN_KIND,
            },
        }
        if evse_id is not None:
            payload = {"evseId": evse_id} | payload
        return Command(action="RequestStartTransaction", payload=payload)

    def encode_remote_stop(self, transaction_id: str) -> Command:
        """RequestStopTransaction (2.0.1, F03)."""
        return Command(
            action="RequestStopTransaction", payload={"transactionId": transaction_id}
        )

    def encode_reset(self) -> Command:
        """Reset of the whole station (2.0.1, B12)."""
        return Command(action="Reset", payload={"type": "OnIdle"})

    def encode_transaction_status(self, transaction_id: str) -> Command | None:
        """GetTransactionStatus (2.0.1, E14)."""
        return Command(
            action="GetTransactionStatus", payload={"transactionId": transaction_id}
        )

    def outcome(self, action: str, payload: Mapping[str, object]) -> CallOutcome:
        """See ``Adapter.outcome``; of SetVariables, the first that is not accepted.

        With nothing to clear, clearing succeeded.
        """
        if action == CLEAR and payload.get("status") == NOTHING_TO_CLEAR:
            return CallOutcome.ACCEPTED
        if action != "SetVariables":
            return read_status(payload.get("status"))
        results = payload.get("setVariableResult")
        outcome = CallOutcome.OTHER
        for result in results if isinstance(results, list) else ():
            if isinstance(result, dict):
                outcome = read_status(result.get("attributeStatus"))
            if outcome is not CallOutcome.ACCEPTED:
                break
        return outcome

    def reservation_asked(self, command: Command) -> ReservationAsked | None:
        """Read a ReserveNow (2.0.1, H01)."""
        if command.action != "ReserveNow":
            return None
        payload = command.payload
        token, group = payload["idToken"], payload.get("groupIdToken")
        assert isinstance(token, dict), "the schema was checked"
        return ReservationAsked(
            reservation_id=integer(payload["id"]),
            evse_id=integer(payload.get("evseId", 0)),
            token=IdToken(value=str(token["idToken"]), kind=str(token["type"])),
            expires_at=asked_time(payload["expiryDateTime"]),
            group_id=str(group["idToken"]) if isinstance(group, dict) else None,
        )

    def encode_cancel_reservation(self, reservation_id: int) -> Command:
        """CancelReservation (2.0.1, H02)."""
        return Command(
            action="CancelReservation", payload={"reservationId": reservation_id}
        )

    def reservation_cancelled(self, command: Command) -> int | None:
        """Read a CancelReservation (2.0.1, H02)."""
        if command.action != "CancelReservation":
            return None
        return integer(command.payload["reservationId"])

    def password_set(
        self, command: Command, answer: Mapping[str, object]
    ) -> bytes | None:
        """SetVariables of SecurityCtrlr.BasicAuthPassword (2.0.1, A01)."""
        results = answer.get("setVariableResult")
        if command.action != "SetVariables" or not isinstance(results, list):
            return None
        set_ones = {
            (_name(result, "component"), _name(result, "variable"))
            for result in results
            if isinstance(result, dict) and result.get("attributeStatus") == "Accepted"
        }
        return self.password_asked(command) if PASSWORD in set_ones else None

    def password_asked(self, command: Command) -> bytes | None:
        """See ``Adapter.password_asked``."""
        asked = command.payload.get("setVariableData")
        if command.action != "SetVariables" or not isinstance(asked, list):
            return None
        for item in asked:
            if (item["component"]["name"], item["variable"]["name"]) == PASSWORD:
                return str(item["attributeValue"]).encode()
        return None

    def expected(self, command: Command, now: datetime) -> Expectation:
        """See ``Adapter.expected``."""
        return expected(command, now)


def _name(result: Mapping[str, Any], part: str) -> str | None:
    """The name of a component or variable in an answer, which may be anything."""
    said = result.get(part)
    name = said.get("name") if isinstance(said, dict) else None
    return name if isinstance(name, str) else None
