"""One learnt text of meter values: what its numbers are, and the fact they make."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeAlias

from gateway.domain.events import Deviation, SessionUpdated
from gateway.domain.ids import EvseRef, StationId
from gateway.domain.metering import Sample
from gateway.ocpp.adapter import Decoded
from gateway.ocpp.readings import POWERS, timestamp

Spot: TypeAlias = tuple[int, int]
"""Which value of a text, and the power of ten to its base unit."""

MILLI_POWER: Final = 3

_COUNTER: Final = re.compile(rb"0|[1-9]\d{0,8}")
_TRANSACTION: Final = re.compile(rb"[1-9]\d{0,9}")
_MAX_DIGITS: Final = 9
_MAX_ID_CHARS: Final = 36


class NotPlain(ValueError):
    """A text that only the ordinary way understands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """How to make the fact of one text; the numbers are positions of spots.

    Attributes:
        decoded: Of the probe; all but its event holds for every such text.
        event: Of the probe.
        place: EVSE and connector.
        transaction: ``None`` if the text names none; likewise the others.
    """

    decoded: Decoded
    event: SessionUpdated
    place: tuple[int, int] | None
    occurred: int | None
    sampled: int
    transaction: int | None
    is_numbered: bool
    sequence: int | None
    context: str
    register: Spot | None
    power: Spot | None
    currents: tuple[Spot | None, ...] | None
    soc: Spot | None
    others: tuple[tuple[str, int, int], ...]

    def fill(
        self,
        station_id: StationId,
        spots: Sequence[bytes],
        values: Sequence[bytes],
        received_at: datetime,
    ) -> Decoded:
        """The message with these spots.

        Raises:
            NotPlain: One needs the ordinary way.
        """
        sampled_at = _time(spots[self.sampled], received_at)
        occurred = self.occurred
        if occurred is None:
            occurred_at = received_at
        elif occurred == self.sampled:
            occurred_at = sampled_at
        else:
            occurred_at = _time(spots[occurred], received_at)
        register, currents = self.register, self.currents
        sample = Sample(
            sampled_at=sampled_at,
            context=self.context,
            register_milliwh=None if register is None else _milliwh(values, register),
            power_w=_number(values, self.power),
            current_a=(
                None
                if currents is None
                else (
                    _number(values, currents[0]) or 0.0,
                    _number(values, currents[1]) or 0.0,
                    _number(values, currents[2]) or 0.0,
                )
            ),
            soc_percent=_number(values, self.soc),
            others=tuple(
                [
                    (
                        label,
                        str(_scaled(values[index], power))
                        if power
                        else values[index].decode(),
                    )
                    for label, index, power in self.others
                ]
            ),
        )
        known, place = self.event, self.place
        event = SessionUpdated(
            station_id=station_id,
            evse=(
                None
                if place is None
                else EvseRef(
                    station_id=station_id, evse_id=place[0], connector_id=place[1]
                )
            ),
            occurred_at=occurred_at,
            received_at=received_at,
            transaction_id=(
                None
                if self.transaction is None
                else _transaction(spots[self.transaction], self.is_numbered)
            ),
            samples=(sample,),
            charging_state=known.charging_state,
            sequence=(
                None
                if self.sequence is None
                else int(_plain(_COUNTER, spots[self.sequence]))
            ),
            was_offline=known.was_offline,
            trigger=known.trigger,
        )
        decoded = self.decoded
        return Decoded(
            action=decoded.action,
            events=(event,),
            durability=decoded.durability,
            reply=decoded.reply,
            authorize_evse=None if decoded.authorize_evse is None else event.evse,
            wants_cost=decoded.wants_cost,
        )


def _time(spot: bytes, received_at: datetime) -> datetime:
    notes: list[Deviation] = []
    moment = timestamp(spot.decode(), received_at, "", notes)
    if notes:
        raise NotPlain
    return moment


def _transaction(spot: bytes, is_numbered: bool) -> str:
    if is_numbered:
        return _plain(_TRANSACTION, spot)
    if len(spot) > _MAX_ID_CHARS:
        raise NotPlain
    return spot.decode()


def _plain(pattern: re.Pattern[bytes], spot: bytes) -> str:
    if pattern.fullmatch(spot) is None:
        raise NotPlain
    return spot.decode()


def _milliwh(values: Sequence[bytes], spot: Spot) -> int:
    """A register, floored to whole milliwatt-hours, by its digits alone."""
    index, power = spot
    whole, _, fraction = values[index].partition(b".")
    if len(whole) + power > _MAX_DIGITS:
        raise NotPlain
    n_digit = power + MILLI_POWER
    return int(whole + fraction[:n_digit].ljust(n_digit, b"0"))


def _number(values: Sequence[bytes], spot: Spot | None) -> float | None:
    if spot is None:
        return None
    index, power = spot
    return float(_scaled(values[index], power) if power else values[index])


def _scaled(text: bytes, power: int) -> Decimal:
    """A value in its base unit, as `gateway.ocpp.readings.reading` makes it."""
    if len(text.partition(b".")[0]) + power > _MAX_DIGITS:
        raise NotPlain
    return Decimal(text.decode()) * POWERS[power]
