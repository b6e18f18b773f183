"""What is counted on fewer phases stays safe while cars break their phases."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain import phase_use
from gateway.domain.phase_use import PhaseSample, PhaseUse
from gateway.services import phase_watch
from gateway.services.group_state import GroupState
from tests.property.safety.phase_world import PHASE_OPS, PhaseWorld
from tests.property.safety.world import RATING_DA, Op

HISTORIES = st.lists(
    st.tuples(st.sampled_from(PHASE_OPS), st.integers(0, 5), st.integers(0, 99)),
    max_size=50,
)
TROUBLES = (
    *("switch", "advance", "swap") * 2,
    *("minute", "link", "reboot", "plug", "unplug", "sample", "round"),
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
    """All EVSEs full and known, then trouble; again and again."""
    random = Random(seed)  # noqa: S311 - a history, not a secret
    found: list[Op] = []
    for _ in range(6):
        for number in random.sample(range(6), 6):
            if random.random() < 0.3:
                found.append(("unplug", number, 0))
            found += [("link", number, 0), ("plug", number, random.randrange(3))]
            found.append(("wish", number, random.randrange(15, 27)))
        found += [("minute", 0, 0)] * 6
        if seed % 2:
            found += [("replug", number, 0) for number in random.sample(range(6), 4)]
        found += [
            (random.choice(TROUBLES), random.randrange(6), random.randrange(100))
            for _ in range(12)
        ]
    return found


# Broken variants of the rules: each must be caught, or the test proves nothing.


def what_is_seen_elsewhere_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was known once stays known, whatever later samples show."""
    for name in ("observe", "witness"):
        monkeypatch.setattr(phase_watch, name, _stays_known(getattr(phase_use, name)))


def _stays_known(
    learn: Callable[[PhaseUse, PhaseSample], PhaseUse],
) -> Callable[[PhaseUse, PhaseSample], PhaseUse]:
    def broken(use: PhaseUse, sample: PhaseSample) -> PhaseUse:
        after = learn(use, sample)
        if use.is_known and not after.is_known:
            return replace(use, at=sample.at, heard_at=sample.heard_at)
        return after

    return broken


def silence_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen once counts for ever."""
    monkeypatch.setattr(PhaseUse, "is_fresh", lambda *_: True)


def sessions_inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next car at an EVSE is taken for the one before."""
    monkeypatch.setattr(phase_watch, "forget", lambda _: None)


def restarts_and_cables_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart, or another cable, leaves everything known."""
    monkeypatch.setattr(phase_watch, "restart", lambda _: None)


def pauses_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No car is plugged in while a session is paused."""
    look = phase_watch.look

    def broken(*args: Any, **options: Any) -> None:
        look(*args, **{**options, "ends_unplugged": True})

    monkeypatch.setattr(phase_watch, "look", broken)


def nothing_is_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    """All freed current is given away."""
    monkeypatch.setattr(GroupState, "margins", lambda _: dict.fromkeys("AB", 9999))


@pytest.mark.parametrize(
    ("mutate", "seed"),
    [
        (what_is_seen_elsewhere_is_ignored, 2),
        (silence_changes_nothing, 96),
        (sessions_inherit, 1),
        (restarts_and_cables_change_nothing, 6),
        (pauses_change_nothing, 46),
        (nothing_is_spare, 0),
    ],
)
def test_a_broken_rule_of_phases_is_caught(
    mutate: Callable[[pytest.MonkeyPatch], None],
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert PhaseWorld().play(random_history(seed)) is None
    mutate(monkeypatch)
    for other in (seed, *range(100)):  # the first, unless rules have changed
        if PhaseWorld().play(random_history(other)):
            return
    pytest.fail("no history showed the fault")
