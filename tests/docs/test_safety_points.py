"""Each point of the safety argument is shown by tests that exist."""

import re

from tests.docs import pages
from tests.docs.test_reliability_page import NAMED, functions

PAGE = pages.DOCS / "reliability.md"
POINTS = (
    "Envelopes",
    "Schedules never rise",
    "Floors",
    "Generation makes no room",
    "Fast loop",
    "The claim",
    "Proof of obedience",
)


def test_each_point_of_the_safety_argument_is_shown_by_tests_that_exist() -> None:
    rows = pages.rows(PAGE, "The safety argument")[1:]
    heads = [re.findall(r"\*\*(\d)\. ([^*]+)\*\*", row[0]) for row in rows]
    wanted = [[(f"{number}", point)] for number, point in enumerate(POINTS, start=1)]
    assert heads == wanted
    for row in rows:
        named = NAMED.findall(row[1])
        assert len(named) >= 2, row[0]
        missing = [
            f"{path}::{name}" for path, name in named if name not in functions(path)
        ]
        assert missing == []
