"""The documentation says exactly which test shows which official case."""

from tests.conformance import table


def test_every_case_is_shown_by_a_test_or_exempt_for_a_reason() -> None:
    missing = table.cases().keys() - table.shown_by().keys() - table.exempt().keys()
    assert sorted(missing) == []


def test_only_official_cases_are_named() -> None:
    named = table.shown_by().keys() | table.exempt().keys()
    assert sorted(named - table.cases().keys()) == []


def test_an_exempt_case_has_a_reason_and_no_test() -> None:
    assert all(table.exempt().values())
    assert sorted(table.exempt().keys() & table.shown_by().keys()) == []


def test_the_documentation_has_the_table_as_it_is() -> None:
    assert table.documented() == table.table()
