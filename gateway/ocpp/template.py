"""One learnt text of meter values: what its numbers are, and the fact they make."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, TypeAlias

from gateway.domain.events import Deviation, SessionUpdated
from gateway.domain.ids import EvseRef, StationId
from gateway.domain.metering import Sample, Told
from gateway.ocpp.adapter import Decoded
from gateway.ocpp.readings import POWERS, timestamp

Spot: TypeAlias = tuple[int, int]
"""Which value of a text, and the power of ten to its base unit."""

MILLI_POWER: Final = 3

_COUNTER: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_TRANSACTION: Final = re.compile(r"[1-9][0-9]{0,9}")
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
        numbers: Power, currents of L1 to L3, state of charge.
        has_currents: One of the currents was told; one that was not is none then.
        current_told: See `Sample`, as is ``power_told``.
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
    numbers: tuple[Spot | None, ...]
    has_currents: bool
    current_told: Told
    power_told: Told
    others: tuple[tuple[str, int, int], ...]

    def fill(
        self,
        station_id: StationId,
        spots: Sequence[str],
        values: Sequence[str],
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
        register = self.register
        power_w, l1_a, l2_a, l3_a, soc_percent = [
            None
            if spot is None
            else float(_scaled(values[spot[0]], spot[1]))
            if spot[1]
            else float(values[spot[0]])
            for spot in self.numbers
        ]
        sample = Sample(
            sampled_at=sampled_at,
            context=self.context,
            register_milliwh=None if register is None else _milliwh(values, register),
            power_w=power_w,
            current_a=(
                (l1_a or 0.0, l2_a or 0.0, l3_a or 0.0) if self.has_currents else None
            ),
            current_told=self.current_told,
            power_told=self.power_told,
            soc_percent=soc_percent,
            others=tuple(
                [
                    (label, str(_scaled(values[at], power)) if power else values[at])
                    for label, at, power in self.others
                ]
            ),
        )
        known, place = self.event, self.place
        event = SessionUpdated(
            station_id=station_id,
            evse=None if place is None else _evse(station_id, *place),
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


@lru_cache(maxsize=16_384)  # a station has few; this takes ten times as long to make
def _evse(station_id: StationId, evse_id: int, connector_id: int) -> EvseRef:
    return EvseRef(station_id=station_id, evse_id=evse_id, connector_id=connector_id)


def _time(spot: str, received_at: datetime) -> datetime:
    notes: list[Deviation] = []
    moment = timestamp(spot, received_at, "", notes)
    if notes:
        raise NotPlain
    return moment


def _transaction(spot: str, is_numbered: bool) -> str:
    if is_numbered:
        return _plain(_TRANSACTION, spot)
    if len(spot) > _MAX_ID_CHARS:
        raise NotPlain
    return spot


def _plain(pattern: re.Pattern[str], spot: str) -> str:
    if pattern.fullmatch(spot) is None:
        raise NotPlain
    return spot


def _milliwh(values: Sequence[str], spot: Spot) -> int:
    """A register, floored to whole milliwatt-hours, by its digits alone."""
    index, power = spot
    whole, _, fraction = values[index].partition(".")
    if len(whole) + power > _MAX_DIGITS:
        raise NotPlain
    n_digit = power + MILLI_POWER
    return int(whole + fraction[:n_digit].ljust(n_digit, "0"))


def _scaled(text: str, power: int) -> Decimal:
    """A value in its base unit, as `gateway.ocpp.readings.reading` makes it."""
    if len(text.partition(".")[0]) + power > _MAX_DIGITS:
        raise NotPlain
    return Decimal(text) * POWERS[power]
