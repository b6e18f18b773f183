"""What is counted on fewer phases stays safe while cars break their phases."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain import phase_use
from gateway.domain.phase_use import PhaseUse
from gateway.services import phase_watch
from gateway.services.group_state import GroupState
from tests.property.safety.phase_world import PHASE_OPS, PhaseWorld
from tests.property.safety.world import RATING_DA, Op

HISTORIES = st.lists(
    st.tuples(st.sampled_from(PHASE_OPS), st.integers(0, 5), st.integers(0, 99)),
    max_size=50,
)
MARGINS = st.sampled_from((0, RATING_DA // 2, RATING_DA, 2 * RATING_DA))


@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(HISTORIES, MARGINS)
def test_no_car_that_breaks_its_phases_leads_above_a_limit_while_k_are_covered(
    history: list[Op], margin_da: int
) -> None:
    world = PhaseWorld(margin_da=margin_da)
    assert world.play(history) is None


def test_long_histories_free_phases_and_see_them_taken_back() -> None:
    freed = switched = 0
    for seed in range(12):
        world = PhaseWorld(margin_da=(seed % 3) * RATING_DA)
        assert world.play(random_history(seed)) is None
        freed += world.n_freed
        switched += world.n_switch
    assert freed >= 12
    assert switched >= 10


def random_history(seed: int) -> list[Op]:
    random = Random(seed)  # noqa: S311 - a history, not a secret
    return [
        (random.choice(PHASE_OPS), random.randrange(6), random.randrange(100))
        for _ in range(200)
    ]


# Broken variants of the rules: each must be caught, or the test proves nothing.


def what_is_seen_elsewhere_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was known once stays known, whatever later samples show."""
    observe = phase_use.observe

    def broken(use: PhaseUse, sample: Any) -> PhaseUse:
        after = observe(use, sample)
        if use.is_known and not after.is_known:
            return PhaseUse(
                used=use.used,
                at=sample.at,
                heard_at=sample.heard_at,
                is_known=True,
            )
        return after

    monkeypatch.setattr(phase_watch, "observe", broken)


def silence_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen once counts for ever."""
    monkeypatch.setattr(PhaseUse, "is_fresh", lambda *_: True)


def sessions_inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next car at an EVSE is taken for the one before."""
    monkeypatch.setattr(phase_watch, "forget", lambda _: None)


def restarts_and_cables_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart, or another cable, leaves everything known."""
    monkeypatch.setattr(phase_watch, "restart", lambda _: None)


def nothing_is_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    """All freed current is given away."""
    monkeypatch.setattr(GroupState, "margins", lambda _: dict.fromkeys("AB", 9999))


@pytest.mark.parametrize(
    "mutate",
    [
        what_is_seen_elsewhere_is_ignored,
        silence_changes_nothing,
        sessions_inherit,
        restarts_and_cables_change_nothing,
        nothing_is_spare,
    ],
)
def test_a_broken_rule_of_phases_is_caught(
    mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    for seed in range(60):
        if PhaseWorld().play(random_history(seed)):
            return
    pytest.fail("no history showed the fault")
