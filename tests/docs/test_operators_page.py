"""Whatever an operator can meet is explained, and nothing else is."""

from tests.docs import operators, pages


def first_words(heading: str) -> set[str]:
    """The words in code type of a table's first column."""
    return {
        word
        for cells in pages.rows(operators.PAGE, heading)
        for word in pages.words(cells[0])
    }


def test_every_log_event_from_warnings_upwards_is_explained() -> None:
    told = {
        word
        for heading in (
            "Limits",
            "Stations and connections",
            "Commands",
            "Certificates and security",
            "Store, evidence, process",
        )
        for word in first_words(heading)
    }
    assert told == operators.log_events()


def test_every_error_code_of_the_api_is_explained() -> None:
    by_schema = {"FormatViolation"}
    in_other_ways = {"invalid", "store_unavailable"}
    reasons_of_a_bill = {"no_tariff", "no_price", "not_priced", "no_registers"}
    told = first_words("Errors of the API") - by_schema - in_other_ways
    assert told - reasons_of_a_bill == operators.error_codes()


def test_every_kind_of_deviation_is_explained() -> None:
    conformance = pages.rows(pages.DOCS / "conformance.md", "Essential members")
    done = {word for cells in conformance for word in pages.words(cells[0])}
    assert operators.deviation_kinds() - done == set(), "what was done"
    assert first_words("Deviations") == operators.deviation_kinds()


def test_every_metric_says_what_it_counts() -> None:
    table = operators.metric_table().splitlines()[2:]
    assert all(line.split("|")[3].strip() for line in table)
