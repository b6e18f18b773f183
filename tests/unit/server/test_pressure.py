"""Who may come in while the loop is behind: some every second, and soon all again."""

from gateway.server.pressure import ENTRIES_PER_S, LAG_S, Pressure


def n_served(pressure: Pressure, from_s: float, to_s: float, per_s: int) -> int:
    """How many get in of those who come evenly."""
    n = int((to_s - from_s) * per_s)
    return sum(pressure.may_enter(from_s + index / per_s) for index in range(n))


def test_a_loop_that_keeps_up_serves_everyone() -> None:
    pressure = Pressure()
    pressure.note(LAG_S / 2)
    assert n_served(pressure, 0, 5, 1_000) == 5_000


def test_a_loop_that_is_behind_serves_a_few_every_second() -> None:
    pressure = Pressure()
    pressure.note(LAG_S)
    n = n_served(pressure, 100, 110, 1_000)
    assert 10 * ENTRIES_PER_S <= n <= 11 * ENTRIES_PER_S + 1


def test_one_stall_is_forgotten_after_a_few_good_looks() -> None:
    pressure = Pressure()
    pressure.note(4 * LAG_S)
    for _ in range(3):
        pressure.note(0.0)
    assert pressure.may_enter(0.0)
    assert n_served(pressure, 0, 2, 1_000) == 2_000
