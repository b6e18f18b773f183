"""The documentation says exactly which test shows what."""

import pytest

from sim_chargers.faults import FAULTS, ROWS
from tests.conformance import actions, quirk_rows, table
from tests.conformance.marks import shown_by


def test_every_case_is_shown_by_a_test_or_exempt_for_a_reason() -> None:
    missing = table.cases().keys() - shown_by("case").keys() - table.exempt().keys()
    assert sorted(missing) == []


def test_only_official_cases_are_named() -> None:
    named = shown_by("case").keys() | table.exempt().keys()
    assert sorted(named - table.cases().keys()) == []


def test_an_exempt_case_has_a_reason_and_no_test() -> None:
    assert all(table.exempt().values())
    assert sorted(table.exempt().keys() & shown_by("case").keys()) == []


def test_every_use_case_is_shown_by_a_test_or_is_the_stations_alone() -> None:
    alone = table.station_alone()
    missing = table.use_cases().keys() - shown_by("use_case").keys() - alone.keys()
    assert sorted(missing) == []


def test_only_use_cases_of_part_2_are_named() -> None:
    named = shown_by("use_case").keys() | table.station_alone().keys()
    assert sorted(named - table.use_cases().keys()) == []


def test_a_use_case_of_the_station_alone_has_a_reason_and_no_test() -> None:
    assert all(table.station_alone().values())
    assert sorted(table.station_alone().keys() & shown_by("use_case").keys()) == []


def test_every_action_of_1_6_has_a_test_of_its_effect() -> None:
    assert sorted(set(actions.names()) ^ shown_by("action16").keys()) == []


def test_every_row_about_real_chargers_has_a_test_and_a_simulated_fault() -> None:
    rows = set(quirk_rows.numbers(table.documented("real chargers")))
    shown = shown_by("quirk").keys()
    assert sorted(rows - shown) == [], "every row has a test, and frames are extra"
    assert sorted((shown | quirk_rows.frames().keys()) - rows) == []
    assert rows == quirk_rows.faults().keys()


def test_every_simulated_fault_belongs_to_a_row() -> None:
    assert ROWS.keys() == FAULTS.keys()


@pytest.mark.parametrize("name", table.TABLES)
def test_the_documentation_has_the_table_as_it_is(name: str) -> None:
    assert table.documented(name) == table.TABLES[name](), (
        "python -m tests.conformance.table writes it anew"
    )
