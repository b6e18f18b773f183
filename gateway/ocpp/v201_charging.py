"""OCPP 2.0.1, K15 to K17: what a car says of its needs and of its schedule."""

from decimal import Decimal
from typing import Any

from gateway.domain.charging_needs import CarNeeds, CarPeriod, CarSchedule
from gateway.domain.ids import EvseRef
from gateway.domain.limits import LimitUnit
from gateway.ocpp.adapter import Answer, Decoded
from gateway.ocpp.inbound import Message, Payload, notified
from gateway.ocpp.inquiries import (
    ChargingNeedsAnswered,
    ChargingNeedsTold,
    EvScheduleAnswered,
    EvScheduleTold,
    NeedsStatus,
)

FULL_PERCENT = 100


def charging_needs(message: Message) -> Decoded:
    """NotifyEVChargingNeeds: a service decides what to offer (K15, K17)."""
    return notified(message, _needs_reply, inquiry=_needs)


def ev_schedule(message: Message) -> Decoded:
    """NotifyEVChargingSchedule: the car's own schedule, to be compared (K15, K17)."""
    return notified(message, _schedule_reply, inquiry=_schedule)


def _evse(message: Message) -> EvseRef:
    return message.evse(message.request.evse_id, 1)


def _needs(message: Message) -> ChargingNeedsTold:
    needs = message.request.charging_needs
    energy_wh: int | None = None
    if needs.ac_charging_parameters is not None:
        energy_wh = needs.ac_charging_parameters.energy_amount
    elif needs.dc_charging_parameters is not None:
        energy_wh = _dc_energy_wh(needs.dc_charging_parameters)
    departure = needs.departure_time
    return ChargingNeedsTold(
        evse=_evse(message),
        needs=CarNeeds(
            energy_wh=None if energy_wh is None else max(0, energy_wh),
            departure_at=None
            if departure is None
            else message.time(departure, "$.chargingNeeds.departureTime"),
        ),
    )


def _dc_energy_wh(dc: Any) -> int | None:  # noqa: ANN401 - a compiled Struct
    """A DC car may say a state of charge and its capacity instead of an energy."""
    if dc.energy_amount is not None:
        return int(dc.energy_amount)
    if dc.ev_energy_capacity is None or dc.state_of_charge is None:
        return None
    full = FULL_PERCENT if dc.full_so_c is None else dc.full_so_c
    return int(dc.ev_energy_capacity * (full - dc.state_of_charge) // FULL_PERCENT)


def _needs_reply(answer: Answer) -> Payload:
    found = answer.finding
    if isinstance(found, ChargingNeedsAnswered):
        return {"status": found.status.value}
    return {"status": NeedsStatus.REJECTED.value}


def _schedule(message: Message) -> EvScheduleTold:
    schedule = message.request.charging_schedule
    text = schedule.start_schedule or message.request.time_base
    periods = [
        CarPeriod(
            offset_s=period.start_period,
            limit=Decimal(period.limit),
            number_phases=period.number_phases,
        )
        for period in schedule.charging_schedule_period
    ]
    return EvScheduleTold(
        evse=_evse(message),
        schedule=CarSchedule(
            start=message.time(text, "$.timeBase"),
            unit=LimitUnit(schedule.charging_rate_unit),
            periods=tuple(sorted(periods, key=lambda period: period.offset_s)),
            duration_s=schedule.duration,
        ),
    )


def _schedule_reply(answer: Answer) -> Payload:
    found = answer.finding
    is_accepted = isinstance(found, EvScheduleAnswered) and found.is_accepted
    return {"status": "Accepted" if is_accepted else "Rejected"}
