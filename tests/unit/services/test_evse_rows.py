"""Which EVSEs of a station are there, by what it says."""

import pytest

from gateway.domain.ids import EvseRef, StationId
from gateway.domain.topology import Evse, Station
from gateway.services.evse_rows import unbelieved, unwired

CP = StationId("CP-1")


def refs(*numbers: int) -> list[EvseRef]:
    return [EvseRef(station_id=CP, evse_id=number) for number in numbers]


def wired(*numbers: int) -> Station:
    evses = [Evse(ref=ref, cabinet_id=None, max_da=160) for ref in refs(*numbers)]
    return Station(id=CP, evses=tuple(evses))


@pytest.mark.parametrize(
    ("heard", "shown"),
    [
        ([], []),
        ([1, 2, 3], [1, 2, 3]),
        ([2], [2]),
        ([0, 1], [1]),
        ([1634030126], []),
        ([1, 1634030126], [1]),
        ([40, 41], []),
        ([1, 9, 17], [1, 9, 17]),
    ],
)
def test_a_number_far_beyond_all_others_is_no_evse(
    heard: list[int], shown: list[int]
) -> None:
    assert unwired(None, refs(*heard)) == refs(*shown)


def test_a_registered_station_keeps_its_layout_and_shows_a_forgotten_neighbour() -> (
    None
):
    assert unwired(wired(1, 2), refs(1, 2, 3, 70_000)) == refs(3)


def test_a_session_is_shown_wherever_it_runs() -> None:
    assert unwired(wired(1), refs(1, 500), charging=refs(500)) == refs(500)


def test_what_is_not_believed_is_named() -> None:
    assert unbelieved(refs(0, 1, 70_000, 900), shown=[1]) == [900, 70_000]
