"""OCPP 1.6J: calls of a charge point decoded to neutral facts."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from typing_extensions import override

from gateway.domain.events import (
    EvseStatusChanged,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
    SignedReading,
    StationBooted,
)
from gateway.domain.ids import IdToken, StationId
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
from gateway.ocpp.explain import shown
from gateway.ocpp.frames import Call, Frame
from gateway.ocpp.inbound import Message, Payload, Samples, empty, fact, notified
from gateway.ocpp.readings import (
    DEFAULT_CONTEXT,
    decimal_of,
    reading,
    register_milliwh,
    wire_time,
    with_totals,
)
from gateway.ocpp.schema import Version
from gateway.ocpp.signed_data import text_transferred
from gateway.ocpp.strict import exact
from gateway.ocpp.templates import TEXT_VALUE, OnFailure, Templates
from gateway.ocpp.tolerant import Reader, knows, unknown_action
from gateway.ocpp.v16_certificates import V16Certificates
from gateway.ocpp.v16_commands import V16Commands
from gateway.ocpp.v16_lists import V16Lists
from gateway.ocpp.v16_networks import V16Networks
from gateway.ocpp.v16_prices import V16Prices
from gateway.ocpp.v16_tables import (
    ERROR_CODES,
    ESSENTIALS,
    MAX_GROUP_CHARS,
    STATES,
    TOKEN_WORDS,
)
from gateway.ocpp.v16_transfers import V16Transfers

LISTS: Final = V16Lists()
PRICES: Final = V16Prices()


class V16(V16Networks, V16Commands, V16Certificates, V16Transfers, Adapter):
    """The adapter of OCPP 1.6J. One serves every station, or every strict one.

    Args:
        is_strict: Nothing against the specification is tolerated.
        on_failure: Told the first time that a shortcut hits a bug.
    """

    def __init__(
        self, *, is_strict: bool = False, on_failure: OnFailure | None = None
    ) -> None:
        self._is_strict = is_strict
        self._reader = Reader(
            Version.V16,
            {} if is_strict else ESSENTIALS,
            exact=frozenset({"meterStart", "meterStop"}),
        )
        self._templates = Templates(
            ("MeterValues",), TEXT_VALUE, self._decode, on_failure
        )

    @property
    @override
    def version(self) -> str:
        return "1.6"

    @property
    @override
    def subprotocol(self) -> str:
        return "ocpp1.6"

    @property
    @override
    def takes_old_tls(self) -> bool:
        return True  # for stations from before the whitepaper, which forbids it too

    @property
    @override
    def lists(self) -> V16Lists:
        return LISTS

    @property
    @override
    def prices(self) -> V16Prices:
        return PRICES

    @property
    @override
    def answers_broken_frames(self) -> bool:
        return False

    @property
    @override
    def base_reports(self) -> tuple[str, ...]:
        return ()

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
            if knows(Version.V16, call.action):
                raise RemoteError(
                    ErrorKind.NOT_SUPPORTED, "not an action of a charge point"
                )
            raise unknown_action(Version.V16, call.action)
        request, notes = self._reader.read(call.action, call.payload)
        decoded = handler(Message(station_id, received_at, call, request, notes))
        return exact(decoded) if self._is_strict else decoded

    @override
    def error_code(self, kind: ErrorKind) -> str:
        return ERROR_CODES[kind]


def _boot(message: Message) -> Decoded:
    request = message.request
    event = StationBooted(
        station_id=message.station_id,
        occurred_at=message.received_at,
        received_at=message.received_at,
        vendor=request.charge_point_vendor,
        model=request.charge_point_model,
        serial=request.charge_point_serial_number or request.charge_box_serial_number,
        firmware=request.firmware_version,
        meter_serial=request.meter_serial_number or None,
    )
    return fact(message, event, _boot_reply)


def _boot_reply(answer: Answer) -> Payload:
    return {
        "status": answer.registration,
        "currentTime": wire_time(answer.now),
        "interval": answer.heartbeat_interval_s,
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
    return Decoded(
        action=message.call.action,
        events=(),
        durability=Durability.COMMIT,
        reply=_authorize_reply,
        authorize=IdToken(value=message.request.id_tag),
    )


def _authorize_reply(answer: Answer) -> Payload:
    return {"idTagInfo": _tag_info(answer.authorization)}


def _status(message: Message) -> Decoded:
    request = message.request
    availability, state = STATES[request.status]
    info = request.info or request.vendor_error_code
    event = EvseStatusChanged(
        evse=message.evse(request.connector_id, request.connector_id),
        occurred_at=(
            message.received_at
            if request.timestamp is None
            else message.time(request.timestamp, "$.timestamp")
        ),
        received_at=message.received_at,
        availability=availability,
        charging_state=state,
        wire_status=request.status,
        error_code=None if request.error_code == "NoError" else request.error_code,
        info=info,
    )
    return fact(message, event, empty)


def _start(message: Message) -> Decoded:
    request = message.request
    token = IdToken(value=request.id_tag)
    evse = message.evse(request.connector_id, request.connector_id)
    event = SessionStarted(
        evse=evse,
        occurred_at=message.time(request.timestamp, "$.timestamp"),
        received_at=message.received_at,
        transaction_id=None,
        id_token=token,
        register_milliwh=register_milliwh(
            request.meter_start, "$.meterStart", message.notes
        ),
        reservation_id=message.whole(request.reservation_id, "$.reservationId"),
    )
    return Decoded(
        action=message.call.action,
        events=(event,),
        durability=Durability.COMMIT,
        reply=_start_reply,
        authorize=token,
        authorize_evse=evse,
        deviations=tuple(message.notes),
    )


def _start_reply(answer: Answer) -> Payload:
    if answer.transaction_number is None:
        raise ValueError("a 1.6 start is answered with its transaction number")
    return {
        "transactionId": answer.transaction_number,
        "idTagInfo": _tag_info(answer.authorization),
    }


def _stop(message: Message) -> Decoded:
    request = message.request
    token = None if request.id_tag is None else IdToken(value=request.id_tag)
    samples = _samples(message, request.transaction_data or (), "$.transactionData")
    event = SessionEnded(
        station_id=message.station_id,
        evse=None,
        occurred_at=message.time(request.timestamp, "$.timestamp"),
        received_at=message.received_at,
        transaction_id=str(
            message.whole(request.transaction_id, "$.transactionId") or 0
        ),
        register_milliwh=register_milliwh(
            request.meter_stop, "$.meterStop", message.notes
        ),
        stop_reason=request.reason or "Local",  # its default: 1.6, 6.49
        id_token=token,
        readings=tuple(samples.readings),
        signed=tuple(samples.signed),
    )
    return Decoded(
        action=message.call.action,
        events=(event,),
        durability=Durability.COMMIT,
        reply=_stop_reply,
        authorize=token,
        deviations=tuple(message.notes),
    )


def _stop_reply(answer: Answer) -> Payload:
    if answer.authorization is None:
        return {}
    return {"idTagInfo": _tag_info(answer.authorization)}


def _meter_values(message: Message) -> Decoded:
    request = message.request
    number = message.whole(request.transaction_id, "$.transactionId")
    if number is not None and number <= 0:
        message.note("transaction_id", "$.transactionId", f"{number} is no transaction")
        number = None
    samples = _samples(message, request.meter_value, "$.meterValue")
    event = SessionUpdated(
        station_id=message.station_id,
        evse=message.evse(request.connector_id, request.connector_id),
        occurred_at=samples.last_at or message.received_at,
        received_at=message.received_at,
        transaction_id=None if number is None else str(number),
        readings=tuple(samples.readings),
        signed=tuple(samples.signed),
    )
    return fact(message, event, empty)


def _samples(message: Message, meter_values: Any, path: str) -> Samples:  # noqa: ANN401 - compiled Structs
    samples = Samples()
    notes = message.notes
    sample_path = f"{path}[].sampledValue[]"
    for meter_value in meter_values:
        sampled_at = message.time(meter_value.timestamp, f"{path}[].timestamp")
        if samples.last_at is None or sampled_at > samples.last_at:
            samples.last_at = sampled_at
        found = []
        for sampled in meter_value.sampled_value:
            if sampled.format == "SignedData":
                samples.signed.append(
                    SignedReading(
                        sampled_at=sampled_at,
                        raw=sampled.value,
                        context=sampled.context or DEFAULT_CONTEXT,
                    )
                )
                continue
            value = decimal_of(sampled.value)
            if value is None:
                message.note(
                    "value_garbage",
                    f"{sample_path}.value",
                    f"{shown(sampled.value)} is not a number",
                )
                continue
            one = reading(
                value,
                sampled_at,
                sampled.measurand,
                sampled.unit,
                None,
                sampled.phase,
                sampled.context,
                sampled.location,
                sample_path,
                notes,
            )
            if one is not None:
                found.append(one)
        samples.readings += with_totals(found, sample_path, notes)
    return samples


def _tag_info(authorization: Authorization | None) -> Payload:
    # Without a judgement the driver is not let in.
    if authorization is None:
        return {"status": "Invalid"}
    info: Payload = {"status": TOKEN_WORDS[authorization.status]}
    if authorization.expires_at is not None:
        info["expiryDate"] = wire_time(authorization.expires_at)
    if authorization.group is not None and len(authorization.group) <= (
        MAX_GROUP_CHARS
    ):
        info["parentIdTag"] = authorization.group
    return info


_ACTIONS: Final[Mapping[str, Callable[[Message], Decoded]]] = MappingProxyType(
    {
        "Authorize": _authorize,
        "BootNotification": _boot,
        "DataTransfer": text_transferred,
        "DiagnosticsStatusNotification": partial(notified, reply=empty),
        "FirmwareStatusNotification": partial(notified, reply=empty),
        "Heartbeat": _heartbeat,
        "LogStatusNotification": partial(notified, reply=empty),
        "MeterValues": _meter_values,
        "SecurityEventNotification": partial(notified, reply=empty, at="timestamp"),
        "SignCertificate": partial(
            notified, reply=signing_reply, inquiry=signing_asked
        ),
        "SignedFirmwareStatusNotification": partial(notified, reply=empty),
        "StartTransaction": _start,
        "StatusNotification": _status,
        "StopTransaction": _stop,
    }
)
