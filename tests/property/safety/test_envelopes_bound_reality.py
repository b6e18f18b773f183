from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain import envelope as env
from gateway.domain.envelope import HeldLimit, Progress
from gateway.domain.limits import Purpose
from gateway.services import group_limits
from gateway.services.group_state import GroupState
from gateway.services.safe_limits import Board
from tests.property.safety.world import OPS, Op, World

HISTORIES = st.lists(
    st.tuples(st.sampled_from(OPS), st.integers(0, 4), st.integers(0, 99)), max_size=60
)
RELAXED = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@RELAXED
@given(HISTORIES)
def test_no_history_of_lost_answers_reboots_and_skewed_clocks_exceeds_a_limit(
    history: list[Op],
) -> None:
    world = World()
    assert world.play(history) is None
    assert world.die() is None


@RELAXED
@given(HISTORIES)
def test_one_station_that_lies_stays_within_the_margin(history: list[Op]) -> None:
    world = World(n_unproven=0, lies=True)
    assert world.play(history) is None
    assert world.die() is None


def test_a_long_random_history_holds_and_actually_grants_current() -> None:
    granted_da = 0
    for seed in range(12):
        world = World()
        assert world.play(random_history(seed)) is None
        granted_da += sum(sim.draw_da(world.now) for sim in world.sims.values())
    assert granted_da > 12 * 400  # more than the unproven one at its rating


def random_history(seed: int) -> list[Op]:
    random = Random(seed)  # noqa: S311 - a history, not a secret
    return [
        (random.choice(OPS), random.randrange(5), random.randrange(100))
        for _ in range(250)
    ]


# Broken variants of the rules: each must be caught, or the test proves nothing.


def lost_means_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent counts as held, and nothing else."""
    add_sent = GroupState.add_sent

    def broken(self: GroupState, outgoing: Any, sequence: int) -> None:
        add_sent(self, outgoing, sequence)
        for ref in outgoing.refs:
            self.evses[ref].limits = env.see(self.evses[ref].limits, sequence)

    monkeypatch.setattr(GroupState, "add_sent", broken)


def lost_means_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an answer only the old limit counts."""

    def broken(
        evse: Any, holding: env.Holding, *, skew_s: int, from_s: int
    ) -> env.Staircase:
        sure = tuple(h for h in holding.limits if h.progress > Progress.SENT)
        known = env.Holding(is_trusted=holding.is_trusted, limits=sure)
        return envelope(evse, known, skew_s=skew_s, from_s=from_s)

    envelope = env.envelope
    monkeypatch.setattr(env, "envelope", broken)


def refused_keeps_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal drops the old limits instead of the refused one."""
    monkeypatch.setattr(env, "refuse", env.see)


def clocks_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skew is not counted."""
    held_staircase = env.held_staircase

    def broken(evse: Any, held: HeldLimit, skew_s: int) -> env.Staircase:
        return held_staircase(evse, held, 0 * skew_s)

    monkeypatch.setattr(env, "held_staircase", broken)


def accepted_means_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """An accepted decrease frees its headroom before the car follows."""
    monkeypatch.setattr(env, "accept", env.see)


def watts_are_per_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit in W counts as if it were spread over the phases."""

    def broken(evse: Any, _: HeldLimit, limit_da: int) -> env.Draw:
        return env.draw_of(evse, min(limit_da, evse.max_da))

    monkeypatch.setattr(env, "counted", broken)
    monkeypatch.setattr("gateway.services.safe_limits.counted", broken)
    monkeypatch.setattr("gateway.services.wishes.counted", broken)


def raw_calls_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A station stays trusted after an operator's own call."""
    monkeypatch.setattr(GroupState, "distrust", lambda *_: None)


def restarts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A station that forgets its limits at a restart counts as if it kept them."""
    monkeypatch.setattr(env, "doubt_defaults", tuple)


def only_session_limits_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's limit alone counts, not the default beneath it."""

    def broken(
        evse: Any, holding: env.Holding, *, skew_s: int, from_s: int
    ) -> env.Staircase:
        found = envelope(evse, holding, skew_s=skew_s, from_s=from_s)
        bare = tuple(env.Rung(r.at_s, env.NOTHING) for r in found)
        mine = [h for h in holding.limits if h.purpose is Purpose.SESSION]
        return found if mine or not holding.is_trusted else bare

    envelope = env.envelope
    monkeypatch.setattr(env, "envelope", broken)


def increases_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits are placed as if nobody held anything, and not checked."""
    init = Board.__init__

    def broken(self: Board, **given_: Any) -> None:
        bare = {
            ref: (env.Rung(stairs[0].at_s, env.NOTHING),)
            for ref, stairs in given_["envelopes"].items()
        }
        init(self, **{**given_, "envelopes": bare})

    monkeypatch.setattr(Board, "__init__", broken)
    monkeypatch.setattr(group_limits, "check", lambda *_: ())


def nothing_decays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds last for a week instead of the hold time."""
    monkeypatch.setattr(group_limits, "HOLD_GRID_S", 1)
    wish = group_limits.wish_of

    def broken(*given_: Any) -> Any:
        found = wish(*given_)
        from dataclasses import replace  # noqa: PLC0415 - local to this variant

        return replace(found, hold_until_s=found.hold_until_s + 7 * 86_400)

    monkeypatch.setattr(group_limits, "wish_of", broken)


@pytest.mark.parametrize(
    "mutate",
    [
        lost_means_taken,
        lost_means_refused,
        refused_keeps_the_new_one,
        clocks_are_right,
        accepted_means_seen,
        watts_are_per_phase,
        raw_calls_change_nothing,
        restarts_change_nothing,
        only_session_limits_count,
        increases_do_not_wait,
        nothing_decays,
    ],
)
def test_a_broken_rule_is_caught(
    mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    for seed in range(60):
        world = World()
        if world.play(random_history(seed)) or world.die():
            return
    pytest.fail("no history showed the fault")
