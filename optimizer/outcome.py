"""What comes out of a solve: a plan with integers, and how far it can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from optimizer.layout import Currents

ALGORITHM: Final = "wattproof-optimizer/5"
"""Names the rules a plan was made by; changes with every change of any result."""


class Cause(StrEnum):
    """Why a session does not get all of its energy."""

    GONE = "gone"
    STAY = "stay"
    LIMIT = "limit"
    UNIT = "unit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """The constraint that keeps a session short.

    Attributes:
        session_id: Whose energy.
        cause: ``GONE``: no step left or no permitted current; ``STAY``: its largest
            current over the whole stay is too little; ``LIMIT``: a cabinet's limit
            binds; ``UNIT``: nothing binds but the minimum current and the units.
        cabinet_id: The binding cabinet (``LIMIT``), else None.
        phase: Its grid phase, None for a limit in W over all phases.
        against: The other phase, where the imbalance between both is what is full.
        from_step: First step in question.
        until_step: First step after it.
        text: The same in words.
    """

    session_id: str
    cause: Cause
    cabinet_id: str | None = None
    phase: int | None = None
    against: int | None = None
    from_step: int
    until_step: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Congestion:
    """The price of one more ampere on a limit that binds (a dual).

    Attributes:
        cabinet_id: Whose limit.
        phase: Grid phase, or None for the sum over the phases.
        against: The other phase, for a limit of the imbalance between both.
        step: When.
        micro_per_ah: Millionths of the currency per ampere-hour.
    """

    cabinet_id: str
    phase: int | None
    step: int
    micro_per_ah: int
    against: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The currents of a group, and what they mean for each session.

    Attributes:
        group_id: Of the problem.
        problem_digest: SHA-256 of the problem's canonical JSON.
        start: Begin of step 0, UTC.
        step_s: Length of a step, s.
        session_ids: Order of the rows.
        currents_da: Shape (n_session, n_step), 0.1 A per phase. Step 0 is meant to be
            sent; the rest says what is expected and is planned again.
        energy_wh: Expected energy per session, whole Wh, rounded down.
        shortfall_wh: Needed minus expected energy, whole Wh.
        reasons: One per session with a shortfall.
        energy_price_micro_per_kwh: Shape (n_step,): what the next kWh of any session
            costs at that step without congestion: the feed-in price while PV is left
            over, else the import price.
        congestion: Every limit that binds in the relaxed plan; empty for a fallback.
        solve_s: Seconds on the loop clock.
        engine: What found it: ``piqp``, ``clarabel``, ``ecos``, ``edf`` or ``none``
            (nothing to decide).
        algorithm: See ``ALGORITHM``.
        battery_ids: Order of the rows of ``battery_w``; empty for a fallback, which
            says nothing of batteries.
        battery_w: Shape (n_battery, n_step), W, charging positive. Step 0 is meant to
            be told; it fits the limits together with step 0 of ``currents_da``.
    """

    group_id: str
    problem_digest: str
    start: datetime
    step_s: int
    session_ids: tuple[str, ...]
    currents_da: Currents
    energy_wh: tuple[int, ...]
    shortfall_wh: tuple[int, ...]
    reasons: tuple[Reason, ...]
    energy_price_micro_per_kwh: tuple[int, ...]
    congestion: tuple[Congestion, ...]
    solve_s: float
    engine: str
    algorithm: str = ALGORITHM
    battery_ids: tuple[str, ...] = ()
    battery_w: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimal:
    """Every session gets its energy; proven to cost no more than ``gap`` too much.

    Attributes:
        plan: What to send.
        certificate: Proof of the relaxed plan, see ``optimizer.certificate``.
    """

    plan: Plan
    certificate: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxed:
    """Hard limits leave some energy unmet; ``plan.reasons`` says whose and why.

    Attributes:
        plan: What to send.
        certificate: Proof that the relaxed plan is optimal.
    """

    plan: Plan
    certificate: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """No solver gave a proven answer in time; the plan is the EDF rule's.

    Attributes:
        plan: Feasible, not optimal.
        certificate: Proof that the rule gives this plan.
        why: What failed, for the log and the cockpit.
    """

    plan: Plan
    certificate: Mapping[str, object]
    why: str


Outcome = Optimal | Relaxed | Fallback
