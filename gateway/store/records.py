"""Rows as frozen records: what `queries` answers with."""

import json
import types
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class StationRecord:
    """A registered station.

    Attributes:
        source: ``config``, ``api`` or ``adopted``.
        definition: The ``[[station]]`` table as JSON.
        registration: What the next BootNotification is answered with.
        boot_answer: What the last one was answered with; ``None`` before the first.
    """

    station_id: str
    source: str
    definition: dict[str, Any]
    cabinet_id: str | None
    password_hash: str | None
    security_profile: int
    registration: str
    boot_answer: str | None
    managed: bool
    vendor: str | None
    model: str | None
    serial: str | None
    firmware: str | None
    boot_reason: str | None
    booted_at: datetime | None
    accepted_at: datetime | None
    last_seen_at: datetime | None
    ocpp_version: str | None
    SELECT: ClassVar[str]

    @property
    def is_accepted(self) -> bool:
        """The last boot was accepted: the station may go on without another."""
        return self.boot_answer == "Accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """An unknown station that was refused."""

    station_id: str
    first_seen_at: datetime
    last_seen_at: datetime
    attempts: int
    remote: str
    reason: str
    SELECT: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedFrame:
    """A frame that was answered with an error."""

    frame_id: int
    station_id: str
    received_at: datetime
    message_id: str
    action: str
    error_kind: str
    description: str
    raw: bytes
    SELECT: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseStatus:
    """Latest state of one connector."""

    station_id: str
    evse_id: int
    connector_id: int
    availability: str
    charging_state: str | None
    wire_status: str
    error_code: str | None
    info: str | None
    occurred_at: datetime
    received_at: datetime
    SELECT: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRecord:
    """All samples of one instant.

    Attributes:
        samples: Remaining readings, ``measurand[/phase][@location] -> exact text``.
        leaf_index: The leaf that seals it; ``None`` without a ledger.
    """

    reading_id: int
    session_id: str | None
    station_id: str
    evse_id: int
    sampled_at: datetime
    context: str
    register_milliwh: int | None
    power_w: float | None
    current_l1_a: float | None
    current_l2_a: float | None
    current_l3_a: float | None
    soc_percent: float | None
    samples: dict[str, Any]
    frame_offset: int
    leaf_index: int | None
    SELECT: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A fact about a transaction that nobody knows."""

    orphan_id: int
    station_id: str
    kind: str
    transaction_id: str | None
    evse_id: int | None
    occurred_at: datetime
    received_at: datetime
    register_milliwh: int | None
    reason: str
    frame_offset: int
    SELECT: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdTokenRecord:
    """A known token; ``kind`` empty means any type.

    Attributes:
        stations: JSON list of the only stations; ``None`` for all.
        evse_ids: JSON list of the only EVSEs; ``None`` for all.
        allowed_times: JSON list of stretches of the week; ``None`` for always.
        evse_types: JSON list of ``AC`` and ``DC``; ``None`` for both.
        contract_id: Of the contract behind it; ``None``: not known.
        may_pause: False: plans do not pause its sessions once they charge.
    """

    token_key: str
    kind: str
    value: str
    status: str
    expires_at: datetime | None
    group_id: str | None
    max_sessions: int | None
    updated_at: datetime
    stations: str | None
    evse_ids: str | None
    language: str | None
    language_2: str | None
    personal_message: str | None
    allowed_times: str | None
    evse_types: str | None
    contract_id: str | None
    may_pause: bool
    SELECT: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A reservation, tracked to its end."""

    reservation_id: int
    station_id: str
    evse_id: int
    id_token: str
    token_kind: str | None
    group_id: str | None
    expires_at: datetime
    status: str
    session_id: str | None
    created_at: datetime
    changed_at: datetime
    SELECT: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A notice of a station, as it came."""

    notification_id: int
    station_id: str
    topic: str
    occurred_at: datetime
    received_at: datetime
    body: dict[str, Any]
    frame_offset: int
    SELECT: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceVariable:
    """One attribute of one variable of a station's device model."""

    station_id: str
    component: str
    variable: str
    attribute: str
    value: str | None
    mutability: str | None
    detail: dict[str, Any]
    reported_at: datetime
    SELECT: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """What a driver, an operator or a default asked for a session.

    Attributes:
        may_pause: Whether plans may pause it; ``None``: nobody said so.
    """

    session_id: str
    energy_wh: float | None
    target_soc_percent: float | None
    departure_at: datetime | None
    is_default: bool
    source: str
    updated_at: datetime
    may_pause: bool | None
    SELECT: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StationDeviation:
    """One departure from the specification that was understood."""

    offset: int
    action: str
    received_at: datetime
    kind: str
    path: str
    detail: str


_TABLES: dict[type, str] = {
    StationRecord: "station",
    Knock: "knocking",
    RefusedFrame: "refused_frame",
    EvseStatus: "evse_status",
    ReadingRecord: "reading",
    Orphan: "orphan",
    IdTokenRecord: "id_token",
    Reservation: "reservation",
    Notification: "notification",
    DeviceVariable: "device_variable",
    SessionRequest: "session_request",
}
for _kind, _table in _TABLES.items():
    _columns = ", ".join(field.name for field in fields(_kind))
    _kind.SELECT = f"SELECT {_columns} FROM {_table}"  # type: ignore[attr-defined]  # noqa: S608 - each of them declares it; names are ours


def read(kind: type[R], row: tuple[Any, ...]) -> R:
    """Make a record from a row of its ``SELECT``."""
    values = {
        name: value if value is None or convert is None else convert(value)
        for (name, convert), value in zip(_PLANS[kind], row, strict=True)
    }
    return kind(**values)


def _plan(kind: type) -> tuple[tuple[str, Callable[[Any], Any] | None], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, _converter(hints[field.name])) for field in fields(kind))


def _converter(hint: Any) -> Callable[[Any], Any] | None:  # noqa: ANN401 - a type annotation has no type
    if get_origin(hint) in {Union, types.UnionType}:
        hint = next(part for part in get_args(hint) if part is not type(None))
    if hint is datetime:
        return datetime.fromisoformat
    if hint is bool:
        return bool
    if get_origin(hint) is dict:
        return json.loads
    return None


_PLANS = {kind: _plan(kind) for kind in _TABLES}
