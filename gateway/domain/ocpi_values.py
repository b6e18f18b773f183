"""Numbers and times as OCPI 2.2.1 has them (16.4, 16.6).

A number is a JSON number with four decimals, rounded half to even from the exact
fraction: the double nearest to such a decimal is written with the same digits, as long
as there are fewer than 16. What must add up is rounded at its running sums, so that the
parts make the whole to the last digit.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final

from gateway.domain.tally import rounded_minor

DECIMALS: Final = 4
_MILLISECOND_US: Final = 1_000


def number(exact: Fraction) -> float:
    """A number of four decimals."""
    return of_units(rounded_minor(exact, DECIMALS))


def of_units(units: int) -> float:
    """So many units of the last decimal as a number."""
    return units / 10**DECIMALS


def shares(volumes: Iterable[Fraction]) -> list[int]:
    """Volumes in units of the last decimal that add up to their rounded sum."""
    sums = accumulate(volumes, initial=Fraction(0))
    rounded = [rounded_minor(one, DECIMALS) for one in sums]
    return [after - before for before, after in pairwise(rounded)]


def plain_number(text: str) -> float:
    """Exact text as a JSON number with the same digits."""
    return float(Decimal(text))


def date_time(moment: datetime) -> str:
    """RFC 3339 in UTC with ``Z``; OCPI has room for milliseconds, the rest is cut."""
    utc = moment.astimezone(UTC)
    timespec = "seconds" if utc.microsecond < _MILLISECOND_US else "milliseconds"
    return utc.isoformat(timespec=timespec).replace("+00:00", "Z")


def fitted(text: str, most: int) -> str:
    """Text cut to what OCPI has room for, the cut shown by three dots."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
