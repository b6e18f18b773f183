"""OCPP 2.0.1: calls of a charging station decoded to neutral facts."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from typing_extensions import override

from gateway.domain.events import (
    DeviceReported,
    Event,
    EvseStatusChanged,
    ReservationChanged,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
    SignedReading,
    StationBooted,
)
from gateway.domain.ids import EvseRef, IdToken, StationId
from gateway.errors import ErrorKind, RemoteError
from gateway.ocpp.adapter import (
    Adapter,
    Answer,
    Authorization,
    Decoded,
    Durability,
    Understood,
)
from gateway.ocpp.certificate_wire import signing_asked, signing_reply
from gateway.ocpp.frames import Call, Frame
from gateway.ocpp.inbound import Message, Payload, Samples, empty, fact, notified
from gateway.ocpp.readings import (
    DEFAULT_CONTEXT,
    reading,
    register_among,
    wire_time,
    with_totals,
)
from gateway.ocpp.schema import Version
from gateway.ocpp.signed_data import json_transferred
from gateway.ocpp.strict import exact
from gateway.ocpp.templates import NUMBER_VALUE, OnFailure, Templates
from gateway.ocpp.tolerant import Reader, knows, unknown_action
from gateway.ocpp.v201_certificates import (
    V201Certificates,
    contract_presented,
    contract_status,
    ev_asked,
    ev_reply,
    status_asked,
    status_reply,
)
from gateway.ocpp.v201_charging import charging_needs, ev_schedule
from gateway.ocpp.v201_commands import V201Commands
from gateway.ocpp.v201_lists import V201Lists
from gateway.ocpp.v201_messages import message_content
from gateway.ocpp.v201_networks import V201Networks
from gateway.ocpp.v201_prices import V201Prices
from gateway.ocpp.v201_tables import (
    ERROR_CODES,
    ESSENTIALS,
    MAX_GROUP_CHARS,
    MAX_LANGUAGE_CHARS,
    STATES,
    STATUSES,
    TOKEN_WORDS,
)
from gateway.ocpp.v201_transfers import V201Transfers

_SAMPLED: Final = frozenset({"MeterValues", "TransactionEvent"})
LISTS: Final = V201Lists()
PRICES: Final = V201Prices()


class V201(V201Networks, V201Commands, V201Certificates, V201Transfers, Adapter):
    """The adapter of OCPP 2.0.1. One serves every station, or every strict one.

    Args:
        is_strict: Nothing against the specification is tolerated.
        on_failure: Told the first time that a shortcut hits a bug.
    """

    def __init__(
        self, *, is_strict: bool = False, on_failure: OnFailure | None = None
    ) -> None:
        self._is_strict = is_strict
        self._reader = Reader(Version.V201, {} if is_strict else ESSENTIALS)
        self._templates = Templates(_SAMPLED, NUMBER_VALUE, self._decode, on_failure)

    @property
    @override
    def version(self) -> str:
        return "2.0.1"

    @property
    @override
    def subprotocol(self) -> str:
        return "ocpp2.0.1"

    @property
    @override
    def takes_old_tls(self) -> bool:
        return False  # A00.FR.312: TLS 1.2 or later

    @property
    @override
    def lists(self) -> V201Lists:
        return LISTS

    @property
    @override
    def prices(self) -> V201Prices:
        return PRICES

    @property
    @override
    def answers_broken_frames(self) -> bool:
        return True

    @property
    @override
    def base_reports(self) -> tuple[str, ...]:
        return ("FullInventory", "ConfigurationInventory")

    @override
    def read(self, raw: bytes, station_id: StationId, received_at: datetime) -> Frame:
        return self._templates.read(raw, station_id, received_at)

    @override
    def decode(
        self, station_id: StationId, call: Call, received_at: datetime
    ) -> Decoded:
        if isinstance(call, Understood):
            return call.decoded
        return self._decode(station_id, call, received_at)

    def _decode(
        self, station_id: StationId, call: Call, received_at: datetime
    ) -> Decoded:
        handler = _ACTIONS.get(call.action)
        if handler is None:
            if knows(Version.V201, call.action):
                raise RemoteError(
                    ErrorKind.NOT_SUPPORTED, "not an action of a charging station"
                )
            raise unknown_action(Version.V201, call.action)
        request, notes = self._reader.read(call.action, call.payload)
        decoded = handler(Message(station_id, received_at, call, request, notes))
        return exact(decoded) if self._is_strict else decoded

    @override
    def error_code(self, kind: ErrorKind) -> str:
        return ERROR_CODES[kind]


def _boot(message: Message) -> Decoded:
    station = message.request.charging_station
    event = StationBooted(
        station_id=message.station_id,
        occurred_at=message.received_at,
        received_at=message.received_at,
        vendor=station.vendor_name,
        model=station.model,
        serial=station.serial_number,
        firmware=station.firmware_version,
        reason=message.request.reason,
    )
    return fact(message, event, _boot_reply)


def _boot_reply(answer: Answer) -> Payload:
    return {
        "currentTime": wire_time(answer.now),
        "interval": answer.heartbeat_interval_s,
        "status": answer.registration,
    }


def _heartbeat(message: Message) -> Decoded:
    return Decoded(
        action=message.call.action,
        events=(),
        durability=Durability.NONE,
        reply=_heartbeat_reply,
    )


def _heartbeat_reply(answer: Answer) -> Payload:
    return {"currentTime": wire_time(answer.now)}


def _authorize(message: Message) -> Decoded:
    inquiry = contract_presented(message)
    return Decoded(
        action=message.call.action,
        events=(),
        durability=Durability.COMMIT,
        reply=_authorize_reply if inquiry is None else _contract_reply,
        authorize=_token(message.request.id_token),
        inquiry=inquiry,
    )


def _authorize_reply(answer: Answer) -> Payload:
    return {"idTokenInfo": _token_info(answer.authorization)}


def _contract_reply(answer: Answer) -> Payload:
    status, authorization = contract_status(answer)
    return {
        "idTokenInfo": _token_info(authorization),
        "certificateStatus": status.value,
    }


def _status(message: Message) -> Decoded:
    request = message.request
    event = EvseStatusChanged(
        evse=message.evse(request.evse_id, request.connector_id),
        occurred_at=message.time(request.timestamp, "$.timestamp"),
        received_at=message.received_at,
        availability=STATUSES[request.connector_status],
        wire_status=request.connector_status,
    )
    return fact(message, event, empty)


def _transaction(message: Message) -> Decoded:
    request = message.request
    token = None if request.id_token is None else _token(request.id_token)
    evse = None
    if request.evse is not None:
        evse = message.evse(request.evse.id, request.evse.connector_id or 1)
    samples = _samples(message, request.meter_value or ())
    event = _transaction_event(message, evse, token, samples)
    return Decoded(
        action=message.call.action,
        events=(event,),
        durability=Durability.COMMIT,
        reply=partial(_transaction_reply, with_token=token is not None),
        authorize=token,
        authorize_evse=evse,
        deviations=tuple(message.notes),
        wants_cost=True,
    )


def _transaction_event(
    message: Message, evse: EvseRef | None, token: IdToken | None, samples: Samples
) -> Event:
    request = message.request
    info = request.transaction_info
    occurred_at = message.time(request.timestamp, "$.timestamp")
    readings = tuple(samples.readings)
    signed = tuple(samples.signed)
    state = STATES.get(info.charging_state)
    sequence = message.whole(request.seq_no, "$.seqNo")
    if request.event_type == "Started":
        if evse is None:
            message.note("missing_member", "$.evse", "a start that names no EVSE")
            evse = message.evse(0, 0)
        return SessionStarted(
            evse=evse,
            occurred_at=occurred_at,
            received_at=message.received_at,
            transaction_id=info.transaction_id,
            id_token=token,
            register_milliwh=register_among(readings, "Transaction.Begin"),
            readings=readings,
            signed=signed,
            charging_state=state,
            sequence=sequence,
            was_offline=request.offline is True,
            reservation_id=message.whole(request.reservation_id, "$.reservationId"),
            trigger=request.trigger_reason,
            remote_start_id=message.whole(
                info.remote_start_id, "$.transactionInfo.remoteStartId"
            ),
        )
    if request.event_type == "Updated":
        return SessionUpdated(
            station_id=message.station_id,
            evse=evse,
            occurred_at=occurred_at,
            received_at=message.received_at,
            transaction_id=info.transaction_id,
            readings=readings,
            signed=signed,
            charging_state=state,
            id_token=token,
            sequence=sequence,
            was_offline=request.offline is True,
            trigger=request.trigger_reason,
        )
    return SessionEnded(
        station_id=message.station_id,
        evse=evse,
        occurred_at=occurred_at,
        received_at=message.received_at,
        transaction_id=info.transaction_id,
        register_milliwh=register_among(readings, "Transaction.End"),
        stop_reason=info.stopped_reason or "Local",  # its default: TransactionType
        id_token=token,
        readings=readings,
        signed=signed,
        sequence=sequence,
        was_offline=request.offline is True,
        trigger=request.trigger_reason,
    )


def _transaction_reply(answer: Answer, *, with_token: bool) -> Payload:
    payload: Payload = {}
    if answer.total_cost is not None:
        payload["totalCost"] = Decimal(answer.total_cost)
    if with_token:
        payload["idTokenInfo"] = _token_info(answer.authorization)
    return payload


def _meter_values(message: Message) -> Decoded:
    samples = _samples(message, message.request.meter_value)
    event = SessionUpdated(
        station_id=message.station_id,
        evse=message.evse(message.request.evse_id, 1),
        occurred_at=samples.last_at or message.received_at,
        received_at=message.received_at,
        transaction_id=None,
        readings=tuple(samples.readings),
        signed=tuple(samples.signed),
    )
    return fact(message, event, empty)


def _samples(message: Message, meter_values: Any) -> Samples:  # noqa: ANN401 - compiled Structs
    samples = Samples()
    notes = message.notes
    path = "$.meterValue[].sampledValue[]"
    for meter_value in meter_values:
        sampled_at = message.time(meter_value.timestamp, "$.meterValue[].timestamp")
        if samples.last_at is None or sampled_at > samples.last_at:
            samples.last_at = sampled_at
        found = []
        for sampled in meter_value.sampled_value:
            signed = sampled.signed_meter_value
            if signed is not None:
                samples.signed.append(
                    SignedReading(
                        sampled_at=sampled_at,
                        raw=signed.signed_meter_data,
                        context=sampled.context or DEFAULT_CONTEXT,
                        encoding=signed.encoding_method,
                        public_key=signed.public_key or None,
                    )
                )
            unit = sampled.unit_of_measure
            value = sampled.value
            one = reading(
                value if type(value) is Decimal else Decimal(value),
                sampled_at,
                sampled.measurand,
                None if unit is None else unit.unit,
                None if unit is None else unit.multiplier,
                sampled.phase,
                sampled.context,
                sampled.location,
                path,
                notes,
            )
            if one is not None:
                found.append(one)
        samples.readings += with_totals(found, path, notes)
    return samples


def _reservation(message: Message) -> Decoded:
    request = message.request
    event = ReservationChanged(
        station_id=message.station_id,
        occurred_at=message.received_at,
        received_at=message.received_at,
        reservation_id=message.required(request.reservation_id, "$.reservationId"),
        status=request.reservation_update_status,
    )
    return fact(message, event, empty)


def _report(message: Message) -> Decoded:
    request = message.request
    entries = message.body().get("reportData", [])
    event = DeviceReported(
        station_id=message.station_id,
        occurred_at=message.time(request.generated_at, "$.generatedAt"),
        received_at=message.received_at,
        request_id=message.required(request.request_id, "$.requestId"),
        sequence=message.required(request.seq_no, "$.seqNo"),
        is_last=request.tbc is not True,
        entries=tuple(entries) if isinstance(entries, list) else (),
    )
    return fact(message, event, empty)


def _token(wire: Any) -> IdToken:  # noqa: ANN401 - a compiled Struct
    return IdToken(value=wire.id_token, kind=wire.type)


def _token_info(authorization: Authorization | None) -> Payload:
    # Without a judgement the driver is not let in.
    if authorization is None:
        return {"status": "Invalid"}
    info: Payload = {"status": TOKEN_WORDS[authorization.status]}
    if authorization.expires_at is not None:
        info["cacheExpiryDateTime"] = wire_time(authorization.expires_at)
    group = authorization.group
    if group is not None and len(group) <= MAX_GROUP_CHARS:
        info["groupIdToken"] = {"idToken": group, "type": "Central"}
    if authorization.evse_ids:
        info["evseId"] = list(authorization.evse_ids)
    if authorization.language is not None:
        info["language1"] = authorization.language[:MAX_LANGUAGE_CHARS]
    if authorization.language_2 is not None:
        info["language2"] = authorization.language_2[:MAX_LANGUAGE_CHARS]
    if authorization.message is not None:
        info["personalMessage"] = message_content(
            authorization.message, authorization.language
        )
    return info


_ACTIONS: Final[Mapping[str, Callable[[Message], Decoded]]] = MappingProxyType(
    {
        "Authorize": _authorize,
        "BootNotification": _boot,
        "ClearedChargingLimit": partial(notified, reply=empty),
        "DataTransfer": json_transferred,
        "FirmwareStatusNotification": partial(notified, reply=empty),
        "Get15118EVCertificate": partial(notified, reply=ev_reply, inquiry=ev_asked),
        "GetCertificateStatus": partial(
            notified, reply=status_reply, inquiry=status_asked
        ),
        "Heartbeat": _heartbeat,
        "LogStatusNotification": partial(notified, reply=empty),
        "MeterValues": _meter_values,
        "NotifyChargingLimit": partial(notified, reply=empty),
        "NotifyCustomerInformation": partial(notified, reply=empty, at="generatedAt"),
        "NotifyDisplayMessages": partial(notified, reply=empty),
        "NotifyEVChargingNeeds": charging_needs,
        "NotifyEVChargingSchedule": ev_schedule,
        "NotifyEvent": partial(notified, reply=empty, at="generatedAt"),
        "NotifyMonitoringReport": partial(notified, reply=empty, at="generatedAt"),
        "NotifyReport": _report,
        "PublishFirmwareStatusNotification": partial(notified, reply=empty),
        "ReportChargingProfiles": partial(notified, reply=empty),
        "ReservationStatusUpdate": _reservation,
        "SecurityEventNotification": partial(notified, reply=empty, at="timestamp"),
        "SignCertificate": partial(
            notified, reply=signing_reply, inquiry=signing_asked
        ),
        "StatusNotification": _status,
        "TransactionEvent": _transaction,
    }
)
