"""OCPP 1.6J: the CALLs that we send."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

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
    whole_number,
)
from gateway.ocpp.schema import Direction, Version
from gateway.ocpp.signing_words import ToldSetting, key_commands
from gateway.ocpp.tolerant import check
from gateway.ocpp.v16_effects import expected

REQUESTS: Final = frozenset(
    {
        "CancelReservation",
        "CertificateSigned",
        "ChangeAvailability",
        "ChangeConfiguration",
        "ClearCache",
        "ClearChargingProfile",
        "DataTransfer",
        "DeleteCertificate",
        "ExtendedTriggerMessage",
        "GetCompositeSchedule",
        "GetConfiguration",
        "GetDiagnostics",
        "GetInstalledCertificateIds",
        "GetLocalListVersion",
        "GetLog",
        "InstallCertificate",
        "RemoteStartTransaction",
        "RemoteStopTransaction",
        "ReserveNow",
        "Reset",
        "SendLocalList",
        "SetChargingProfile",
        "SignedUpdateFirmware",
        "TriggerMessage",
        "UnlockConnector",
        "UpdateFirmware",
    }
)
"""Actions of a central system: 1.6 and its security whitepaper."""

AUTHORIZATION_KEY: Final = "authorizationkey"
"""Keys compare without case (1.6, 5.8: CiString)."""
STACK_LEVEL: Final = 0
"""Level of our profiles: the only one that every station has."""
SAMPLED: Final = "Energy.Active.Import.Register,Power.Active.Import,Current.Import"
_PURPOSES: Final = {
    Purpose.SESSION: "TxProfile",
    Purpose.DEFAULT: "TxDefaultProfile",
    Purpose.STATION_MAX: "ChargePointMaxProfile",
}


class V16Commands:
    """Neutral commands in 1.6 spelling; the sending half of the adapter."""

    def check_request(self, action: str, payload: bytes) -> None:
        """See ``Adapter.check_request``."""
        if action not in REQUESTS:
            raise RemoteError(
                ErrorKind.NOT_IMPLEMENTED, f"{action} is not sent to charge points"
            )
        check(Version.V16, action, Direction.REQUEST, payload)

    def check_response(self, action: str, payload: bytes) -> None:
        """See ``Adapter.check_response``."""
        if action not in REQUESTS:
            raise RemoteError(ErrorKind.NOT_IMPLEMENTED, f"{action} is not answered")
        check(Version.V16, action, Direction.RESPONSE, payload)

    def encode_limit(self, command: SetLimit) -> Command:
        """SetChargingProfile (1.6, 5.16).

        ``startSchedule`` makes it absolute; the last period has no end. A relative one
        counts from the start of the session (1.6, 7.13) and has none.

        Raises:
            ValueError: A session's limit without a numeric transaction id.
        """
        profile: dict[str, object] = {"chargingProfileId": command.profile_id}
        if command.purpose is Purpose.SESSION:
            profile["transactionId"] = whole_number(command.transaction_id)
        station_wide = command.purpose is Purpose.STATION_MAX
        return Command(
            action="SetChargingProfile",
            payload={
                "connectorId": 0 if station_wide else command.evse_id,
                "csChargingProfiles": profile
                | {
                    "stackLevel": STACK_LEVEL,
                    "chargingProfilePurpose": _PURPOSES[command.purpose],
                    "chargingProfileKind": profile_kind(command),
                    "chargingSchedule": schedule_start(command)
                    | {
                        "chargingRateUnit": command.unit.value,
                        "chargingSchedulePeriod": periods(command),
                    },
                },
            },
        )

    def encode_clear_limits(self) -> tuple[Command, ...]:
        """ClearChargingProfile without a criterion: every profile (1.6, 5.4).

        1.6 cannot say "all but these", and a leftover may lie on any level, purpose
        and connector.
        """
        return (Command(action=CLEAR, payload={}),)

    def encode_composite(self, evse_id: int, duration_s: int) -> Command:
        """See ``Adapter.encode_composite``."""
        return Command(
            action="GetCompositeSchedule",
            payload={
                "connectorId": evse_id,
                "duration": duration_s,
                "chargingRateUnit": "A",
            },
        )

    def encode_trigger(self, message: str, evse_id: int | None) -> Command:
        """See ``Adapter.encode_trigger``."""
        payload: dict[str, object] = {"requestedMessage": message}
        if evse_id is not None:
            payload["connectorId"] = evse_id
        return Command(action="TriggerMessage", payload=payload)

    def encode_sample_trigger(self, evse_id: int) -> Command:
        """See ``Adapter.encode_sample_trigger`` (1.6, 5.17)."""
        return self.encode_trigger("MeterValues", evse_id)

    def encode_setup(self, *, sample_interval_s: int) -> tuple[Command, ...]:
        """ChangeConfiguration of the sampling keys (1.6, 9.1.18 and 9.1.16)."""
        settings = {
            "MeterValuesSampledData": SAMPLED,
            "MeterValueSampleInterval": str(sample_interval_s),
        }
        return tuple(
            Command(action="ChangeConfiguration", payload={"key": key, "value": value})
            for key, value in settings.items()
        )

    def encode_ping_interval(self, interval_s: int) -> Command:
        """ChangeConfiguration of WebSocketPingInterval (1.6, 9.1.34)."""
        payload = {"key": "WebSocketPingInterval", "value": str(interval_s)}
        return Command(action="ChangeConfiguration", payload=payload)

    def encode_resending(self, name: str, value: int) -> Command:
        """ChangeConfiguration of TransactionMessageAttempts (1.6, 9.1.31 and 32)."""
        payload = {"key": name, "value": str(value)}
        return Command(action="ChangeConfiguration", payload=payload)

    def encode_signing(self, told: Sequence[ToldSetting]) -> tuple[Command, ...]:
        """ChangeConfiguration of the keys that have begin and end signed."""
        return key_commands(told)

    def encode_remote_start(
        self,
        evse_id: int | None,
        token: IdToken,
        remote_start_id: int,  # noqa: ARG002 - 1.6 has no room for it
    ) -> Command:
        """RemoteStartTransaction (1.6, 5.11)."""
        payload: dict[str, object] = {"idTag": token.value}
        if evse_id is not None:
            payload = {"connectorId": evse_id} | payload
        return Command(action="RemoteStartTransaction", payload=payload)

    def encode_remote_stop(self, transaction_id: str) -> Command:
        """RemoteStopTransaction (1.6, 5.12).

        Raises:
            ValueError: The id is not a number.
        """
        return Command(
            action="RemoteStopTransaction",
            payload={"transactionId": whole_number(transaction_id)},
        )

    def encode_reset(self) -> Command:
        """Reset (1.6, 5.14)."""
        return Command(action="Reset", payload={"type": "Soft"})

    def encode_transaction_status(self, transaction_id: str) -> Command | None:
        """1.6 numbers no messages, so none can be missed by their number."""
        del transaction_id
        return None

    def outcome(self, action: str, payload: Mapping[str, object]) -> CallOutcome:
        """See ``Adapter.outcome``; with nothing to clear, clearing succeeded."""
        if action == CLEAR and payload.get("status") == NOTHING_TO_CLEAR:
            return CallOutcome.ACCEPTED
        return read_status(payload.get("status"))

    def reservation_asked(self, command: Command) -> ReservationAsked | None:
        """Read a ReserveNow (1.6, 5.13)."""
        if command.action != "ReserveNow":
            return None
        payload = command.payload
        group = payload.get("parentIdTag")
        return ReservationAsked(
            reservation_id=integer(payload["reservationId"]),
            evse_id=integer(payload["connectorId"]),
            token=IdToken(value=str(payload["idTag"])),
            expires_at=asked_time(payload["expiryDate"]),
            group_id=None if group is None else str(group),
        )

    def encode_cancel_reservation(self, reservation_id: int) -> Command:
        """CancelReservation (1.6, 5.2)."""
        return Command(
            action="CancelReservation", payload={"reservationId": reservation_id}
        )

    def reservation_cancelled(self, command: Command) -> int | None:
        """Read a CancelReservation (1.6, 5.2)."""
        if command.action != "CancelReservation":
            return None
        return integer(command.payload["reservationId"])

    def password_set(
        self, command: Command, answer: Mapping[str, object]
    ) -> bytes | None:
        """See ``Adapter.password_set``."""
        accepted = self.outcome(command.action, answer) is CallOutcome.ACCEPTED
        return self.password_asked(command) if accepted else None

    def password_asked(self, command: Command) -> bytes | None:
        """ChangeConfiguration of AuthorizationKey (security whitepaper, A01)."""
        is_key = (
            command.action == "ChangeConfiguration"
            and str(command.payload.get("key")).casefold() == AUTHORIZATION_KEY
        )
        return str(command.payload["value"]).encode() if is_key else None

    def expected(self, command: Command, now: datetime) -> Expectation:
        """See ``Adapter.expected``."""
        return expected(command, now)
