"""Solves a problem: proven optimal currents, or a rule's if there is no proof in time.

The chain is PIQP, CLARABEL, then ECOS where it is installed (``optimizer.chain``), then
earliest departure first with the currents that are sent packed as a whole.
"""

import secrets
from typing import Final, Literal

from optimizer import clock, reasons, repair, rules, storage
from optimizer.bound import Dual
from optimizer.certificate import Method, make, make_by_rule
from optimizer.chain import Engine, first_proven, warm_up
from optimizer.check import check
from optimizer.commitment import SALT_BYTES
from optimizer.layout import DJ_PER_WH, Currents, Layout
from optimizer.maxplus_fast import Fast
from optimizer.outcome import Congestion, Fallback, Optimal, Outcome, Plan, Relaxed
from optimizer.problem import CabinetProblem
from optimizer.relaxed import RelaxedProblem

_REPAIR_RESERVE_S: Final = 0.05

__all__ = ["Engine", "solve", "warm_up"]

_NEGLIGIBLE_MICRO_PER_AH: Final = 10
"""Duals below are the solver's tolerance, not a price."""


def solve(
    problem: CabinetProblem,
    *,
    deadline_s: float,
    engine: Engine = "auto",
    monotonic_s: clock.Monotonic = clock.monotonic_s,
    salt: bytes | None = None,
) -> Outcome:
    """Plan a group; never raises because a day is hard.

    Args:
        problem: What to solve.
        deadline_s: Seconds this call may take. The solver is told what is left; the
            caller still ends a worker that is overdue.
        engine: See ``Engine``.
        monotonic_s: The loop clock.
        salt: ``SALT_BYTES`` for the commitment in the certificate; None draws them.

    Returns:
        ``Optimal`` or ``Relaxed``, or ``Fallback`` with the plan of the EDF rule and
        the reason, each with a certificate. Every plan has passed ``check``.
    """
    began_s = monotonic_s()
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    layout = Layout.of(problem)
    relaxed = RelaxedProblem.of(layout)
    failures: list[str] = []
    until_s = began_s + deadline_s - _REPAIR_RESERVE_S
    answer = first_proven(relaxed, engine, until_s, monotonic_s, failures)

    if answer is not None:
        found_ua = answer.proven.current_ua
        told = storage.told_w(layout, relaxed.storage, found_ua[len(relaxed.columns) :])
        room = storage.beside(layout, relaxed.storage, told)
        currents = repair.to_permitted(relaxed, found_ua, Fast(), room)
        plan = _plan(
            room,
            currents,
            answer.engine,
            monotonic_s() - began_s,
            congestion=_congestion(relaxed, answer.proven.dual),
            told=tuple(tuple(row) for row in told),
        )
        broken = check(problem, plan)
        if not broken:
            certificate = make(
                relaxed, answer.proven, currents, battery_w=plan.battery_w, salt=salt
            )
            kind = Relaxed if any(plan.shortfall_wh) else Optimal
            return kind(plan=plan, certificate=certificate)
        failures.append(f"repair broke {broken[0].rule} of {broken[0].subject}")

    currents = rules.edf_packed(layout, Fast())
    method: Literal[Method.EDF, Method.NONE] = Method.EDF
    plan = _plan(layout, currents, "edf", monotonic_s() - began_s)
    broken = check(problem, plan)
    if broken:
        failures.append(f"edf broke {broken[0].rule} of {broken[0].subject}")
        currents = tuple((0,) * problem.n_step for _ in problem.sessions)
        method = Method.NONE
        plan = _plan(layout, currents, "none", monotonic_s() - began_s)
    certificate = make_by_rule(problem, method, currents, salt=salt)
    return Fallback(plan=plan, certificate=certificate, why="; ".join(failures))


def _plan(
    layout: Layout,
    currents: Currents,
    engine: str,
    solve_s: float,
    *,
    congestion: tuple[Congestion, ...] = (),
    told: tuple[tuple[int, ...], ...] = (),
) -> Plan:
    problem = layout.problem
    return Plan(
        group_id=problem.group_id,
        problem_digest=problem.digest(),
        start=problem.start,
        step_s=problem.step_s,
        session_ids=tuple(session.session_id for session in problem.sessions),
        currents_da=currents,
        energy_wh=tuple(
            layout.delivered_dj(index, row) // DJ_PER_WH
            for index, row in enumerate(currents)
        ),
        shortfall_wh=reasons.shortfalls_wh(layout, currents),
        reasons=reasons.explain(layout, currents),
        energy_price_micro_per_kwh=_energy_price(layout, currents, told),
        congestion=congestion,
        solve_s=solve_s,
        engine=engine,
        battery_ids=tuple(b.battery_id for b in problem.batteries) if told else (),
        battery_w=told,
    )


def _energy_price(
    layout: Layout, currents: Currents, told: tuple[tuple[int, ...], ...]
) -> tuple[int, ...]:
    problem = layout.problem
    drawn_dj = [0] * problem.n_step
    for powers in told:
        for step, watts in enumerate(powers):
            drawn_dj[step] += watts * problem.step_s * 10
    for index, row in enumerate(currents):
        for step, current_da in enumerate(row):
            drawn_dj[step] += current_da * layout.dj_per_da[index]
    return tuple(
        min(price, feed_in) if drawn < w * problem.step_s * 10 else price
        for price, feed_in, w, drawn in zip(
            problem.import_price_micro_per_kwh or (),
            problem.feed_in_price_micro_per_kwh or (),
            problem.pv_w or (),
            drawn_dj,
            strict=True,
        )
    )


def _congestion(relaxed: RelaxedProblem, dual: Dual) -> tuple[Congestion, ...]:
    """Turn duals (1e-9 per A and step) into millionths per ampere-hour."""
    step_s = relaxed.layout.problem.step_s
    found = (
        (bound, price * 3600 // (step_s * 1000))
        for bound, price in zip(relaxed.bounds, dual.limit, strict=True)
    )
    return tuple(
        Congestion(
            cabinet_id=relaxed.layout.rows[bound.row].cabinet_id,
            phase=relaxed.layout.rows[bound.row].phase,
            against=relaxed.layout.rows[bound.row].against,
            step=bound.step,
            micro_per_ah=micro_per_ah,
        )
        for bound, micro_per_ah in found
        if micro_per_ah >= _NEGLIGIBLE_MICRO_PER_AH
    )
