"""Why an EVSE has the limit it has: the binding constraint and what it costs, in words.

The price is a dual of the plan: what one more kilowatt-hour through the full cabinet
would save, now. Where energy stays unmet, the (high) price of that is in it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.domain.ids import CabinetId
from gateway.services.evse_state import EvseState, key_of
from gateway.services.group_runner import GroupRunner
from optimizer.outcome import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A limit that binds in the plan.

    Attributes:
        phase: Supply phase, 0 to 2; ``None``: the sum over all.
        begin: When the step begins.
        micro_per_kwh: What one more kilowatt-hour through it is worth, millionths of
            the currency.
    """

    cabinet_id: CabinetId
    phase: int | None
    begin: datetime
    micro_per_kwh: int

    @property
    def words(self) -> str:
        """The same in words, without the price."""
        row = "in total" if self.phase is None else f"on L{self.phase + 1}"
        return f"Cabinet {self.cabinet_id} is full {row}"


def bindings(plan: Plan, nominal_v: float) -> tuple[Binding, ...]:
    """Every limit that binds, step by step."""
    step = timedelta(seconds=plan.step_s)
    return tuple(
        Binding(
            cabinet_id=CabinetId(one.cabinet_id),
            phase=one.phase,
            begin=plan.start + one.step * step,
            micro_per_kwh=round(one.micro_per_ah * 1000 / nominal_v),
        )
        for one in plan.congestion
    )


def binding_of(runner: GroupRunner, one: EvseState, now: datetime) -> Binding | None:
    """The dearest limit above an EVSE that binds now; ``None``: none does."""
    plan = runner.planning.plan
    if plan is None:
        return None
    step = timedelta(seconds=plan.step_s)
    path = set(runner.state.paths[key_of(one.evse.ref)])
    found = [
        binding
        for binding in bindings(plan, runner.state.site.phase_v)
        if binding.begin <= now < binding.begin + step
        and binding.cabinet_id in path
        and (binding.phase is None or binding.phase in one.evse.phases)
    ]
    return max(found, key=lambda b: b.micro_per_kwh, default=None)


def why(
    runner: GroupRunner, one: EvseState, limit_da: int | None, binding: Binding | None
) -> str | None:
    """The reason for the limit of an EVSE; ``None``: it has what it can use."""
    if one.session is None:
        return "no session: its reserved floor"
    if not runner.state.is_trusted(one):
        return "not proven to obey: its rating is reserved"
    if not runner.state.is_controlled(one):
        return "the cabinet only advises"
    if one.manual_da is not None and limit_da is not None and limit_da >= one.manual_da:
        return "manual limit"
    reason = runner.planning.reasons.get(one.session.session_id)
    if reason is not None:
        return reason
    wanted = one.levels[0][1] if one.levels else None
    if wanted is not None and limit_da is not None and limit_da < wanted:
        return "waits for headroom that others have to free first"
    reach_da = one.car.reach_da
    if reach_da is not None and limit_da is not None and limit_da >= reach_da:
        return f"the car takes no more than {(one.car.taken_da or 0) / 10:.0f} A now"
    return None if binding is None else binding.words
