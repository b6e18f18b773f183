"""What a group writes to the store and reads back: jobs for the one writer."""

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.car_facts import CarFacts
from gateway.domain.envelope import HeldLimit, Progress
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.topology import Mode, Site
from gateway.services.capability import TOLD_BY
from gateway.services.dispatch_ports import Seal
from gateway.services.evse_state import RESTART_TEST, Outgoing, Trust
from gateway.services.group_problem import Asked
from gateway.services.group_state import GroupState
from gateway.services.loads import LoadReading, Threshold
from gateway.services.promises import Promise
from gateway.store import (
    capability,
    car_facts,
    car_phases,
    flexibility,
    plans,
    settings,
)
from gateway.store import limits as rows
from gateway.store.capability import CapabilityRow
from gateway.store.car_phases import Against
from gateway.store.times import to_text
from optimizer import Fallback, Optimal, Outcome, Relaxed
from optimizer.document import canonical_json
from optimizer.outcome import ALGORITHM, Plan
from optimizer.session_prices import session_prices


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Everything the store knows about groups."""

    held: Sequence[rows.CommandRow]
    trusts: dict[StationId, Trust]
    manual: dict[EvseRef, int]
    thresholds: tuple[Threshold, ...]
    modes: dict[CabinetId, Mode]
    readings: dict[str, LoadReading]
    capabilities: dict[StationId, CapabilityRow]
    cars: dict[SessionId, CarFacts]
    car_phases: dict[SessionId, Against]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMeta:
    """Where a plan was kept, and what else of it the cockpit shows."""

    plan_id: int
    made_at: datetime
    outcome: str
    why: str | None


def load(
    conn: sqlite3.Connection, station_ids: Sequence[StationId], now: datetime
) -> Stored:
    """Read all that a group's state is built from."""
    return Stored(
        held=rows.held_commands(conn, station_ids),
        trusts={
            station_id: Trust(
                station_id=station_id,
                is_proven=row.is_proven,
                firmware=row.firmware,
                leftovers_known=row.leftovers_known,
                doubt=row.doubt,
                survives_restart=_survives_restart(row.evidence),
            )
            for station_id, row in rows.trusts(conn).items()
        },
        capabilities=capability.load(conn, station_ids, TOLD_BY),
        cars=car_facts.load(conn),
        car_phases=car_phases.load(conn),
        manual=settings.manual_limits(conn),
        thresholds=tuple(
            Threshold(
                cabinet_id=row.cabinet_id,
                set_at=row.set_at,
                limit_da=row.limit_da,
                limit_w=row.limit_w,
                from_at=row.from_at,
                until_at=row.until_at,
            )
            for row in settings.thresholds(conn, now)
        ),
        modes={cabinet: Mode(mode) for cabinet, mode in settings.modes(conn).items()},
        readings={
            load_id: LoadReading(
                load_id=load_id,
                measured_at=row.measured_at,
                current_da=row.current_da,
                power_w=row.power_w,
            )
            for load_id, row in settings.readings(conn).items()
        },
    )


def state_of(site: Site, root: CabinetId, stored: Stored) -> GroupState:
    """The state of a group as the store has it; sessions and links come on top."""
    group = site.group(root)
    ids = {cabinet.id for cabinet in group.cabinets}
    state = GroupState(
        group,
        site=site,
        trusts=stored.trusts,
        modes={c: mode for c, mode in stored.modes.items() if c in ids},
        thresholds=[one for one in stored.thresholds if one.cabinet_id in ids],
        readings=stored.readings,
    )
    for row in stored.held:
        command = row.command
        held = HeldLimit(
            sequence=row.command_id,
            purpose=command.purpose,
            schedule=command.schedule,
            progress=(
                Progress.ACCEPTED if row.outcome == "accepted" else Progress.SENT
            ),
            session_id=row.session_id,
            target=command.evse_id,
            unit=command.unit,
            number_phases=command.number_phases,
            nominal_v=command.nominal_v,
            late_s=command.elapsed_s,
        )
        for evse_id in row.evse_ids:
            state.add_held(EvseRef(station_id=row.station_id, evse_id=evse_id), held)
    for ref, limit_da in stored.manual.items():
        if ref in state.evses:
            state.evses[ref].manual_da = limit_da
    return state


def insert_batch(
    conn: sqlite3.Connection,
    batch: Sequence[Outgoing],
    *,
    plan_id: int | None,
    now: datetime,
) -> list[int]:
    """Record limits that are about to be sent; their ids, in order."""
    return [
        rows.insert_command(
            conn,
            station_id=outgoing.station_id,
            evse_ids=[ref.evse_id for ref in outgoing.refs],
            session_id=outgoing.session_id,
            command=outgoing.command,
            plan_id=plan_id,
            sent_at=now,
        )
        for outgoing in batch
    ]


def record_plan(
    conn: sqlite3.Connection,
    asked: Asked,
    outcome: Outcome,
    *,
    cabinet_id: CabinetId,
    promises: Sequence[Promise],
    now: datetime,
    seal: Seal | None,
) -> PlanMeta:
    """Record a plan with what is needed to check it, its promises and its leaf.

    Its congestion (what one more ampere would be worth where a limit binds) is kept
    with the result.
    """
    plan = outcome.plan
    word = word_of(outcome)
    problem = canonical_json(asked.problem.to_json())
    result = canonical_json(
        {
            "problem_digest": plan.problem_digest,
            "salt": outcome.certificate["salt"],
            "session_ids": list(plan.session_ids),
            "currents_da": [list(row) for row in plan.currents_da],
            "energy_wh": list(plan.energy_wh),
            "shortfall_wh": list(plan.shortfall_wh),
            "reasons": [
                {"session_id": r.session_id, "cause": str(r.cause), "text": r.text}
                for r in plan.reasons
            ],
            "congestion": [
                {
                    "cabinet_id": c.cabinet_id,
                    "phase": c.phase,
                    "step": c.step,
                    "micro_per_ah": c.micro_per_ah,
                }
                for c in plan.congestion
            ],
        }
        | (_of_batteries(plan) if plan.battery_ids else {})
    )
    certificate = canonical_json(dict(outcome.certificate))
    plan_id = plans.insert_plan(
        conn,
        cabinet_id=cabinet_id,
        made_at=now,
        outcome=word,
        engine=plan.engine,
        problem=problem,
        result=result,
        certificate=certificate,
    )
    for promise in promises:
        plans.put_promise(
            conn,
            plans.PromiseRow(
                session_id=promise.session_id,
                plan_id=plan_id,
                energy_wh=promise.energy_wh,
                shortfall_wh=promise.shortfall_wh,
                departure_at=promise.departure_at,
                is_default=promise.is_default,
                reason=promise.reason,
                made_at=now,
                delivered_wh=promise.delivered_wh,
                guaranteed_wh=promise.guaranteed_wh,
                is_at_risk=promise.is_at_risk,
                energy_from=promise.energy_from.value,
                departure_from=promise.departure_from.value,
            ),
        )
    for session_id, price in zip(
        plan.session_ids, session_prices(asked.problem, plan), strict=True
    ):
        flexibility.put_price(
            conn, SessionId(session_id), price, plan_id=plan_id, now=now
        )
    if seal is not None:
        algorithm_id, _, version = ALGORITHM.partition("/")
        seal(
            "plan",
            cabinet_id,
            {
                "plan_id": str(plan_id),
                "cabinet_id": cabinet_id,
                "made_at": to_text(now),
                "algorithm_id": algorithm_id,
                "algorithm_version": version,
                "inputs_sha256": outcome.certificate["commitment"],
                "outputs_sha256": _sha256(result),
                "certificate_sha256": _sha256(certificate),
                "outcome": word,
            },
            conn,
        )
    return PlanMeta(
        plan_id=plan_id,
        made_at=now,
        outcome=word,
        why=outcome.why if isinstance(outcome, Fallback) else None,
    )


def _of_batteries(plan: Plan) -> dict[str, object]:
    return {
        "battery_ids": list(plan.battery_ids),
        "battery_w": [list(row) for row in plan.battery_w],
    }


def put_trust(
    conn: sqlite3.Connection, trust: Trust, now: datetime, evidence: object = None
) -> None:
    """Record what is known about a station."""
    rows.put_trust(
        conn,
        station_id=trust.station_id,
        is_proven=trust.is_proven,
        firmware=trust.firmware,
        leftovers_known=trust.leftovers_known,
        doubt=trust.doubt,
        changed_at=now,
        evidence=evidence if isinstance(evidence, dict) else None,
    )


def _survives_restart(evidence: Mapping[str, object]) -> bool:
    """Whether a stored proof says that a restart was tested; a shipped one does."""
    tested = evidence.get("tested")
    return bool(evidence.get("shipped")) or (
        isinstance(tested, list) and RESTART_TEST in tested
    )


def word_of(outcome: Outcome) -> str:
    """``optimal``, ``relaxed`` or ``fallback``."""
    match outcome:
        case Optimal():
            return "optimal"
        case Relaxed():
            return "relaxed"
        case Fallback():
            return "fallback"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
