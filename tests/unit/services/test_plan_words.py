from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.domain.ids import SessionId
from gateway.services.group_problem import Asked
from gateway.services.plan_words import reason_in_words, reasons_in_words
from gateway.services.solver_pool import by_rule
from optimizer import CabinetLimit, CabinetProblem, EvSession
from optimizer.outcome import Cause, Reason

START = datetime(2026, 7, 6, 7, 35, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def problem(limit_a: float = 16.0) -> CabinetProblem:
    return CabinetProblem(
        group_id="yard",
        start=START,
        step_s=900,
        n_step=8,
        nominal_v=230,
        cabinets=(
            CabinetLimit(
                cabinet_id="yard",
                limit_a=[[limit_a] * 8] * 3,
                reserved_a=[[0.0] * 8] * 3,
            ),
        ),
        sessions=(
            EvSession(
                session_id="s1",
                cabinet_id="yard",
                phases=(0, 1, 2),
                energy_wh=40_000,
                departure_step=8,
                min_a=6.0,
                max_a=32.0,
            ),
        ),
    )


@pytest.mark.parametrize(
    ("cause", "detail", "words"),
    [
        (
            Cause.LIMIT,
            {"cabinet_id": "yard", "phase": 0, "from_step": 0, "until_step": 5},
            "Cabinet yard is full on L1 from 09:35 to 10:50",
        ),
        (
            Cause.LIMIT,
            {"cabinet_id": "yard", "from_step": 1, "until_step": 80},
            "Cabinet yard is full from 09:50 to Tue 05:35",
        ),
        (
            Cause.STAY,
            {"from_step": 0, "until_step": 4},
            "32 A until 10:20 is too little for this need",
        ),
        (
            Cause.GONE,
            {"from_step": 0, "until_step": 0},
            "No time is left before the departure",
        ),
        (
            Cause.GONE,
            {"from_step": 0, "until_step": 3},
            "Its largest current is below the least that charges",
        ),
        (
            Cause.UNIT,
            {"from_step": 0, "until_step": 3},
            "The charger's smallest step is too coarse",
        ),
    ],
)
def test_a_reason_is_said_in_words_and_local_time(
    cause: Cause, detail: dict[str, object], words: str
) -> None:
    reason = Reason(session_id="s1", cause=cause, text="for the record", **detail)  # type: ignore[arg-type]  # the cases above
    given = problem()
    departure = datetime(2026, 7, 6, 8, 20, tzinfo=UTC)
    said = reason_in_words(
        reason, given, given.sessions[0], departure=departure, zone=BERLIN
    )
    assert said == words


def test_every_short_session_of_a_plan_has_its_reason() -> None:
    given = problem()
    asked = Asked(problem=given, departures={}, defaults=frozenset())
    plan = by_rule(given, "test").plan
    assert sum(plan.shortfall_wh) > 0
    said = reasons_in_words(asked, plan, BERLIN)
    assert set(said) == {SessionId("s1")}
    assert "yard" in said[SessionId("s1")] or "32 A" in said[SessionId("s1")]
