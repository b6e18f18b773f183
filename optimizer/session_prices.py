"""What a kWh costs each session now: the energy, and the limits that are full."""

from optimizer.layout import Layout, Row
from optimizer.outcome import Plan
from optimizer.problem import CabinetProblem

_WH_PER_KWH = 1_000


def session_prices(problem: CabinetProblem, plan: Plan) -> tuple[int, ...]:
    """Price of a kWh in step 0 of a plan, per session, in millionths of the currency.

    The price of energy, and for every full limit above the session its dual: what one
    ampere-hour less on it would save. A session draws on each of its phases.
    """
    if not plan.session_ids:
        return ()
    layout = Layout.of(problem)
    duals = {
        (one.cabinet_id, one.phase, one.against): one.micro_per_ah
        for one in plan.congestion
        if one.step == 0
    }
    energy = plan.energy_price_micro_per_kwh[0]
    prices = []
    for index, session in enumerate(problem.sessions):
        per_hour_and_ampere = sum(
            coefficient * duals.get(_name(layout.rows[row]), 0)
            for row, coefficient in layout.rows_of[index]
        )
        wh_per_ah = problem.nominal_v * (session.n_power_phase or 1)
        prices.append(energy + per_hour_and_ampere * _WH_PER_KWH // wh_per_ah)
    return tuple(prices)


def _name(row: Row) -> tuple[str, int | None, int | None]:
    return row.cabinet_id, row.phase, row.against
