"""The fold over any log of one session: idempotent, and free of order."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.events import (
    ChargingState,
    Reading,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
)
from gateway.domain.ids import SessionId
from gateway.domain.session import (
    Session,
    SessionEvent,
    SessionPhase,
    apply,
    empty,
    supersede,
)
from gateway.domain.verdict import judge
from tests.support.journal import CP1, at, eight_readings, ended, register, started

MINUTES = st.integers(0, 600)


def _update(minute: int, sequence: int, state: ChargingState | None) -> SessionUpdated:
    readings: tuple[Reading, ...] = (
        eight_readings(minute, 1000 + minute) if minute % 2 else ()
    )
    return SessionUpdated(
        station_id=CP1,
        evse=None,
        occurred_at=at(minute),
        received_at=at(minute),
        transaction_id="tx",
        readings=readings,
        charging_state=state,
        sequence=sequence,
    )


@st.composite
def logs(draw: st.DrawFn) -> list[SessionEvent]:
    """What one station may say of one session: at most one start and one end."""
    minutes = sorted(draw(st.lists(MINUTES, max_size=12)))
    states = st.sampled_from([None, *ChargingState])
    log: list[SessionEvent] = [
        _update(minute, number + 1, draw(states))
        for number, minute in enumerate(minutes)
    ]
    if draw(st.booleans()):
        wh = draw(st.one_of(st.none(), st.integers(0, 2000)))
        log.insert(0, started(-1, wire_id="tx", wh=wh, sequence=0))
    if draw(st.booleans()):
        wh = draw(st.one_of(st.none(), st.integers(0, 5000)))
        extra = (register(601, 1700, "Transaction.End"),) if wh is None else ()
        end = ended(601, wire_id="tx", wh=wh, sequence=99, readings=extra)
        log.append(end)
    return log


def _fold(log: list[SessionEvent]) -> Session:
    session = empty(SessionId("s"), CP1, "tx")
    for event in log:
        session = apply(session, event)
    return session


@given(logs(), st.randoms(use_true_random=False))
def test_a_backlog_sent_twice_and_shuffled_changes_nothing(
    log: list[SessionEvent], rng: Random
) -> None:
    replayed = log + log
    rng.shuffle(replayed)
    assert _fold(replayed) == _fold(log)


@given(logs())
def test_every_end_is_judged_and_no_energy_is_negative(log: list[SessionEvent]) -> None:
    session = _fold(log)
    assert session.energy_milliwh >= 0
    if session.phase is SessionPhase.ENDED:
        found = judge(session, rated_w=22_000)
        assert found.energy_milliwh >= 0
        if found.verdict in {"ok", "ok-unsigned"}:
            assert session.has_start
            assert found.energy_milliwh == session.energy_milliwh
            assert found.register_start_milliwh is not None
            assert found.register_end_milliwh is not None


@given(logs(), st.lists(st.integers(602, 900), max_size=4), st.data())
def test_the_earliest_later_start_ends_a_session_that_has_no_end(
    log: list[SessionEvent], later: list[int], data: st.DataObject
) -> None:
    session = _fold(log)
    for minute in data.draw(st.permutations(later)):
        session = supersede(session, at(minute), 10_000_000 + minute)
    if any(isinstance(event, SessionEnded) for event in log):
        assert session == _fold(log)
    elif later:
        assert session.ended_at == at(min(later))
        assert session.register_end_milliwh == 10_000_000 + min(later)


@given(logs())
def test_the_place_is_that_of_the_start(log: list[SessionEvent]) -> None:
    session = _fold(log)
    if any(isinstance(event, SessionStarted) for event in log):
        assert (session.evse_id, session.connector_id) == (1, 1)
