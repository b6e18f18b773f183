"""How often strangers may ask."""

from gateway.api.pace import MAX_ADDRESSES, Pace


def test_a_burst_is_admitted_and_then_the_pace() -> None:
    pace = Pace(per_s=2.0, burst=3)
    assert [pace.admits("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert pace.admits("b", 0.0), "another address has its own"
    assert [pace.admits("a", 0.5), pace.admits("a", 0.5)] == [True, False]
    assert [pace.admits("a", 900.0) for _ in range(4)] == [True, True, True, False]


def test_addresses_are_forgotten_before_they_fill_the_memory() -> None:
    pace = Pace(per_s=1.0, burst=1)
    for number in range(MAX_ADDRESSES + 10):
        assert pace.admits(str(number), 0.0)
    assert not pace.admits(str(MAX_ADDRESSES), 0.0)
    assert pace.admits("0", 0.0), "who asked longest ago"
