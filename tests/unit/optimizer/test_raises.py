"""The best raise of a session is the one that trying every current finds."""

from hypothesis import given
from hypothesis import strategies as st

from optimizer.raises import Raises


@given(
    st.lists(st.integers(1, 12), max_size=6, unique=True),
    st.lists(st.integers(-4, 9), min_size=7, max_size=7),
    st.integers(1, 3),
)
def test_the_best_raise_is_that_of_trying_every_current(
    steps: list[int], worths: list[int], n_phase: int
) -> None:
    values = [0, *sorted(steps)]
    worths = worths[: len(values)]
    raises = Raises(values=values, worths=worths, n_phase=n_phase)
    worth_of = dict(zip(values, worths, strict=True))
    for now in values:
        for bound in range(-1, 14):
            gains = [
                ((worth - worth_of[now]) // ((value - now) * n_phase), value)
                for value, worth in worth_of.items()
                if now < value <= bound and worth > worth_of[now]
            ]
            assert raises.best(now, bound) == max(gains, default=None)
