"""What a feeder meter shows, and who draws what behind it by all that is known."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from gateway.domain import envelope as env
from gateway.domain.envelope import NOTHING, Draw, Progress, unix_s
from gateway.domain.phases import Rotation, spread
from gateway.domain.topology import Battery, Cabinet, Pv
from gateway.services import group_limits, loads
from gateway.services.evse_state import EvseState, sample_of
from gateway.services.group_state import GroupState
from gateway.services.loads import LoadReading
from gateway.services.shedding import Measured

SAMPLE_S: Final = 120
"""Site seconds for which a car's sample says what it draws now."""


def feeder_reading(
    state: GroupState, cabinet: Cabinet, now: datetime
) -> LoadReading | None:
    """The reading of a cabinet's meter, if it is fresh."""
    reading = state.readings.get(cabinet.feeder_meter or "")
    if loads.fresh_end(cabinet.feeder_stale_after_s, reading, now) is None:
        return None
    return reading


def quick_look(state: GroupState, cabinet: Cabinet, now: datetime) -> Measured:
    """The meter against the limits; nothing about who draws what."""
    phase_v = state.site.phase_v
    reading = feeder_reading(state, cabinet, now)
    return Measured(
        cabinet_id=cabinet.id,
        limit=loads.limit_draw(
            cabinet, state.thresholds, at_s=unix_s(now), phase_v=phase_v
        ),
        gross=loads.gross_draw(cabinet, phase_v=phase_v),
        export_da=cabinet.export_limit_da,
        margin_da=cabinet.margin_da,
        feeder=None if reading is None else signed_draw(reading, phase_v),
        measured_at=None if reading is None else reading.measured_at,
        generation=_generation(state, cabinet, now),
    )


def measure(state: GroupState, cabinet: Cabinet, now: datetime) -> Measured:
    """The meter, and who draws what by all that is known."""
    seen = quick_look(state, cabinet, now)
    steered = least = others = bound = floors = NOTHING
    envelopes = state.envelopes(now)
    for ref, path in state.paths.items():
        if cabinet.id not in path or ref not in envelopes:
            continue
        drawn = env.value_at(envelopes[ref], unix_s(now))
        bound = env.add(bound, drawn)
        one = state.evses.get(ref)
        if one is None or not is_steered(state, one):
            others = env.add(others, drawn)
            continue
        floors = env.add(floors, env.draw_of(one.evse, one.evse.floor_da))
        sampled = _sampled(one, drawn, now)
        steered = env.add(steered, sampled)
        least = env.add(least, _lowest(sampled, _accepted(one, now)))
    equipment = loads.counted_now(
        state.group, cabinet.id, state.readings, now=now, phase_v=state.site.phase_v
    )
    return replace(
        seen,
        steered=steered,
        least=least,
        others=env.add(others, equipment),
        bound=env.add(bound, equipment),
        floors=floors,
    )


def is_steered(state: GroupState, one: EvseState) -> bool:
    """Whether a limit of ours lowers what an EVSE draws, by all that is known."""
    return (
        one.session is not None
        and one.session.transaction_id is not None
        and state.stations[one.evse.ref.station_id].is_online
        and state.is_trusted(one)
        and group_limits.is_ours(state, one)
    )


def signed_draw(reading: LoadReading, phase_v: float) -> Draw:
    """A reading per phase; power alone is taken as balanced."""
    if reading.current_da is not None:
        return env.with_total(reading.current_da)
    each_da = round((reading.power_w or 0.0) / phase_v / 3 * 10)
    return (each_da, each_da, each_da, 3 * each_da)


def _sampled(one: EvseState, bound: Draw, now: datetime) -> Draw:
    if (
        one.session is None
        or one.heard_at is None
        or one.heard_at < now - timedelta(seconds=SAMPLE_S)
    ):
        return NOTHING
    sample = sample_of(one.session, one.evse)
    if sample is None:
        return NOTHING
    seen = one.evse.measured_on_supply(sample)
    return env.with_total(
        (min(seen[0], bound[0]), min(seen[1], bound[1]), min(seen[2], bound[2]))
    )


def _accepted(one: EvseState, now: datetime) -> Draw:
    """What the newest limit that the station accepted lets an EVSE draw."""
    mine = [held for held in one.limits if held.progress >= Progress.ACCEPTED]
    session = None if one.session is None else one.session.session_id
    own = [held for held in mine if held.session_id == session] or mine
    if not own:
        return NOTHING
    newest = max(own, key=lambda held: held.sequence)
    return env.counted(one.evse, newest, newest.schedule.at(now))


def _lowest(left: Draw, right: Draw) -> Draw:
    one, two, three, total = (min(left[row], right[row]) for row in env.ROWS)
    return (one, two, three, total)


def _generation(state: GroupState, cabinet: Cabinet, now: datetime) -> Draw:
    """What PV and batteries behind a cabinet are measured to deliver.

    PV tells what it delivers, batteries what they draw.
    """
    below = {one.id for one in state.site.subtree(cabinet.id)}
    sources: list[tuple[Pv | Battery, int]] = [(pv, 1) for pv in state.group.pvs]
    sources += [(battery, -1) for battery in state.group.batteries]
    total = NOTHING
    for asset, sign in sources:
        reading = state.readings.get(asset.id)
        if (
            reading is not None
            and asset.cabinet_id in below
            and loads.fresh_end(asset.stale_after_s, reading, now) is not None
        ):
            phase_v = state.site.phase_v
            total = env.add(
                total, _delivered(reading, asset.phases, phase_v, sign=sign)
            )
    return total


def _delivered(
    reading: LoadReading, phases: Rotation, phase_v: float, *, sign: int
) -> Draw:
    """What is generated per phase, never below zero; ``sign`` of what is delivered."""
    if reading.current_da is not None:
        one, two, three = (max(0, sign * value) for value in reading.current_da)
        return env.with_total((one, two, three))
    power_w = max(0.0, sign * (reading.power_w or 0.0))
    return env.with_total(spread(phases, round(power_w / phase_v / len(phases) * 10)))
