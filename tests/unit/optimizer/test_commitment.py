"""A driver checks the own row of a plan, an auditor the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer import commitment
from optimizer.commitment import leads_to
from optimizer.problem import CabinetProblem
from tests.support.optimizer_problems import typical_day

SALT = bytes(range(32))


def day(n_session: int) -> CabinetProblem:
    return typical_day(3, n_session=n_session, n_step=12)


@given(st.integers(0, 40), st.data())
def test_every_row_and_only_this_row_leads_to_the_root(
    n_session: int, data: st.DataObject
) -> None:
    problem = day(n_session)
    currents = tuple((60,) * 12 for _ in range(n_session))
    root = commitment.root(problem, currents, SALT)
    texts = commitment.texts(problem, currents)
    row = data.draw(st.integers(0, n_session))
    steps = commitment.path(problem, currents, SALT, row)
    leaf = commitment.leaf_hash(texts[row], commitment.row_salt(SALT, row))
    count = n_session + 1
    assert leads_to(leaf, row=row, count=count, steps=steps, root=root)
    for other in {0, row - 1, row + 1, n_session} - {row}:
        assert not leads_to(leaf, row=other, count=count, steps=steps, root=root)
    assert not leads_to(leaf, row=row, count=count, steps=[*steps, leaf], root=root)
    assert not leads_to(leaf, row=row, count=count, steps=steps, root=bytes(32))


def test_a_row_says_nothing_of_the_others() -> None:
    """Equal texts have different leaves, and the salt of one is not that of another."""
    salts = {commitment.row_salt(SALT, row) for row in range(100)}
    assert len(salts) == 100
    assert len({commitment.leaf_hash("{}", salt) for salt in salts}) == 100


@pytest.mark.parametrize("row", [1, 2])
def test_another_current_is_another_root(row: int) -> None:
    problem = day(2)
    currents = [[60] * 12, [0] * 12]
    before = commitment.root(problem, tuple(map(tuple, currents)), SALT)
    currents[row - 1][11] += 10
    assert commitment.root(problem, tuple(map(tuple, currents)), SALT) != before
