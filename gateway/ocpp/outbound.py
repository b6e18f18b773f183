"""What both dialects share when they put a command on the wire."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from types import MappingProxyType
from typing import Final

from gateway.domain.limits import LimitUnit, SetLimit
from gateway.ocpp.adapter import CallOutcome
from gateway.ocpp.readings import wire_time

CLEAR: Final = "ClearChargingProfile"
NOTHING_TO_CLEAR: Final = "Unknown"
"""``ClearChargingProfileStatus``: no profile matched (1.6, 5.4; 2.0.1, K10)."""

_DECI: Final = 10
_OUTCOMES: Final[Mapping[str, CallOutcome]] = MappingProxyType(
    {
        "Accepted": CallOutcome.ACCEPTED,
        "Rejected": CallOutcome.REJECTED,
        "NotSupported": CallOutcome.NOT_SUPPORTED,
        "NotImplemented": CallOutcome.NOT_SUPPORTED,
        "UnknownKey": CallOutcome.NOT_SUPPORTED,
        "UnknownComponent": CallOutcome.NOT_SUPPORTED,
        "UnknownVariable": CallOutcome.NOT_SUPPORTED,
        "NotSupportedAttributeType": CallOutcome.NOT_SUPPORTED,
    }
)


def limit_number(limit_da: int, command: SetLimit) -> int | float:
    """A limit in the unit the station wants, never above ``limit_da``.

    A: one decimal, exact (a float of one decimal is written with that decimal).
    W: total power at the set voltage times the phases, floored to whole watts.
    """
    if command.unit is LimitUnit.A:
        whole, rest = divmod(limit_da, _DECI)
        return limit_da / _DECI if rest else whole
    watts = Decimal(str(command.nominal_v)) * command.number_phases * limit_da / _DECI
    return int(watts.to_integral_value(rounding=ROUND_FLOOR))


def periods(command: SetLimit) -> list[dict[str, object]]:
    """``chargingSchedulePeriod``, the same in both versions.

    Of a relative schedule the first period reaches back to the start of the session.
    """
    return [
        {
            "startPeriod": step.offset_s + command.elapsed_s if step.offset_s else 0,
            "limit": limit_number(step.limit_da, command),
            "numberPhases": command.number_phases,
        }
        for step in command.schedule.steps
    ]


def profile_kind(command: SetLimit) -> str:
    """``chargingProfileKind``, the same in both versions."""
    return "Absolute" if command.relative_to is None else "Relative"


def schedule_start(command: SetLimit) -> dict[str, object]:
    """``startSchedule`` of an absolute schedule; a relative one must not have it."""
    if command.relative_to is not None:
        return {}
    return {"startSchedule": wire_time(command.schedule.start)}


def refusal_word(payload: Mapping[str, object]) -> str | None:
    """The ``reasonCode`` that 2.0.1 gives with a refusal (part 2, appendices, 5)."""
    said = payload.get("statusInfo")
    word = said.get("reasonCode") if isinstance(said, Mapping) else None
    return word if isinstance(word, str) else None


def whole_number(transaction_id: str | None) -> int:
    """A 1.6 transaction id as the number it is on the wire.

    Raises:
        ValueError: It is missing or not a number.
    """
    if transaction_id is None:
        raise ValueError("a session's limit needs its transaction id")
    return int(transaction_id)


def read_status(status: object) -> CallOutcome:
    """The neutral reading of a ``status`` word."""
    if isinstance(status, str):
        return _OUTCOMES.get(status, CallOutcome.OTHER)
    return CallOutcome.OTHER


def asked_time(text: object) -> datetime:
    """A time in a CALL of ours, aware UTC; without a zone it is UTC.

    Raises:
        ValueError: It is not ISO 8601.
    """
    moment = datetime.fromisoformat(str(text))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def integer(value: object) -> int:
    """A number that the schema says is an integer."""
    assert isinstance(value, int), "the schema was checked"
    return value


def compact(**members: object) -> dict[str, object]:
    """A payload of the members that say something, in this order."""
    return {name: value for name, value in members.items() if value is not None}


def optional_time(moment: datetime | None) -> str | None:
    """Wire time, or nothing."""
    return None if moment is None else wire_time(moment)
