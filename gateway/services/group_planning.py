"""Plans one group: asks for a plan when one is due, and takes it over."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from gateway.bus import (
    PlanMade,
)
from gateway.domain.ids import SessionId
from gateway.errors import (
    StoreError,
)
from gateway.services import (
    doubted_ceilings,
    group_problem,
    group_store,
    loads,
)
from gateway.services.arrivals import Place
from gateway.services.group_core import GroupCore
from gateway.services.group_items import (
    Solved,
)
from gateway.services.group_problem import Asked
from gateway.services.group_store import PlanMeta
from gateway.services.plan_basis import Basis, plan_basis
from gateway.services.plan_pace import PlanPace
from gateway.services.plan_words import reasons_in_words
from gateway.services.promises import Promise, by_session, promises_of
from optimizer import check
from optimizer.forecast import unwaiting
from optimizer.outcome import Plan
from optimizer.rescue import rescued

LOAD_DEADBAND_DA: Final = 30
"""Other equipment that changed by less than 1 A per phase is not worth a new plan.

What is sent heeds every reading, planned anew or not.
"""

_log = structlog.get_logger()


class GroupPlanning:
    """The newest plan of one group, and when the next one is due.

    Attributes:
        plan: The newest plan, if any.
        meta: Where it was kept.
        reasons: Why its sessions stay short, in words.
        asked: The problem that it solves.
        promises: What its sessions may expect.
    """

    def __init__(self, core: GroupCore) -> None:
        self.plan: Plan | None = None
        self.meta: PlanMeta | None = None
        self.reasons: Mapping[SessionId, str] = {}
        self.asked: Asked | None = None
        self.promises: Mapping[SessionId, Promise] = {}
        self._core = core
        self._is_solving = False
        self._is_step_over = False
        self._pace = PlanPace(core.ports.plan_gap_s)
        self._planned: Basis = ()
        self._planned_load_da = 0
        self._is_load_new = False

    def wait_s(self) -> float | None:
        """Real seconds until a plan may be asked for; ``None``: none is due."""
        is_due = self._core.needs_plan or self._is_step_over
        if not is_due or self._is_solving:
            return None
        return self._pace.left_s(asyncio.get_running_loop().time())

    def step_over(self) -> None:
        """A step of the plan is over: the next one starts from what is known now."""
        self._is_step_over = True

    def proceed(self, now: datetime) -> None:
        """Ask for a plan if one is due; all at once is planned all at once."""
        self._heed_load()
        if plan_basis(self._core.state) != self._planned:
            self._core.needs_plan = True
        if self.wait_s() == 0:
            self._pace.begin(asyncio.get_running_loop().time())
            self._start_solving(now)

    def note_load(self) -> None:
        """Other equipment was measured: that may be worth a new plan."""
        self._is_load_new = True

    def _heed_load(self) -> None:
        """Look at what was measured, once however many meters told something."""
        if not self._is_load_new:
            return
        self._is_load_new = False
        if abs(self._load_da() - self._planned_load_da) >= LOAD_DEADBAND_DA:
            self._core.needs_plan = True

    def _load_da(self) -> int:
        state = self._core.state
        return loads.total_da(
            state.group,
            state.readings,
            now=self._core.now(),
            phase_v=state.site.phase_v,
        )

    def _start_solving(self, now: datetime) -> None:
        core = self._core
        is_urgent = core.needs_plan
        core.needs_plan = self._is_step_over = False
        self._planned = plan_basis(core.state)
        self._planned_load_da = self._load_da()
        ports = core.ports
        asked = group_problem.build(
            core.state,
            now,
            step_s=ports.step_s,
            n_step=max(1, ports.horizon_s // ports.step_s),
            prices=ports.prices,
            feed_in=ports.feed_in,
            usual_load=ports.usual_load,
            battery_wh=None if ports.batteries is None else ports.batteries.energy_wh,
            mode=ports.mode,
        )
        self._is_solving = True
        core.spawn(self._solve(asked, is_urgent=is_urgent), f"solve.{core.root}")

    async def _solve(self, asked: Asked, *, is_urgent: bool) -> None:
        asked = await self._foreseen(asked)
        problem = unwaiting(asked.problem, asked.silent)
        problem = rescued(problem, group_problem.had_wh(asked))
        asked = group_problem.with_spare_time(replace(asked, problem=problem))
        outcome = await self._core.ports.solver.solve(
            asked.problem, is_urgent=is_urgent
        )
        self._core.offer(Solved(asked=asked, outcome=outcome))

    async def _foreseen(self, asked: Asked) -> Asked:
        """Heed cars that still come; the state was read before, and is not again."""
        if self._core.ports.arrivals is None:
            return asked
        places = {
            ref: Place(
                cabinets=self._core.state.paths[ref], n_phase=len(one.evse.phases)
            )
            for ref, one in self._core.state.evses.items()
        }
        try:
            problem = await self._core.ports.arrivals.foreseen(asked.problem, places)
        except StoreError as error:
            _log.warning(
                "plan.history_unread", group_id=self._core.root, why=str(error)
            )
            return asked
        return replace(asked, problem=problem)

    async def take(self, item: Solved) -> None:
        """Take over a plan that heeds the limits, once it is on disk."""
        self._is_solving = False
        core, now = self._core, self._core.now()
        plan = item.outcome.plan
        broken = check(item.asked.problem, plan)
        if broken:
            _log.critical("plan.refused", group_id=core.root, rule=broken[0].rule.value)
            return
        reasons = reasons_in_words(item.asked, plan, ZoneInfo(core.state.site.timezone))
        promised = promises_of(item.asked, plan, core.state, reasons, now)
        meta = await core.records.write(
            lambda conn: group_store.record_plan(
                conn,
                item.asked,
                item.outcome,
                cabinet_id=core.root,
                promises=promised,
                now=now,
                seal=core.ports.seal,
            )
        )
        if meta is None:
            return
        self.plan, self.meta, self.reasons = plan, meta, reasons
        self.asked, self.promises = item.asked, by_session(promised)
        if core.ports.batteries is not None:
            core.ports.batteries.take(plan)
        levels = doubted_ceilings.doubted(
            group_problem.levels_of(plan),
            item.asked.problem,
            plan,
            doubted_ceilings.ceilings_of(core.state.evses.values()),
        )
        expected = group_problem.expected_of(item.asked, plan)
        for one in core.state.evses.values():
            if one.session is not None and one.session.session_id in levels:
                one.levels = levels[one.session.session_id]
                one.expected = expected.get(one.session.session_id)
        core.ports.bus.publish(
            PlanMade(
                cabinet_id=core.root,
                plan_id=meta.plan_id,
                outcome=meta.outcome,
                at=now,
            )
        )
        _log.info(
            "plan.made",
            group_id=core.root,
            outcome=meta.outcome,
            n_session=len(plan.session_ids),
            solve_s=round(plan.solve_s, 3),
            shortfall_wh=sum(plan.shortfall_wh),
            why=meta.why,
        )
