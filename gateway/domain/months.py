"""Months of the calendar where the site is."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from typing_extensions import override

_TEXT: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 9998
N_MONTH: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Month:
    """A month of a year."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Read ``2026-03``.

        Raises:
            ValueError: It is none.
        """
        match = _TEXT.fullmatch(text)
        if match is None or not FIRST_YEAR <= int(match[1]) <= LAST_YEAR:
            raise ValueError(
                f'must be a month such as "2026-03", from {FIRST_YEAR} on, not'
                f" {text[:20]!r}"
            )
        return cls(year=int(match[1]), number=int(match[2]))

    @classmethod
    def of(cls, moment: datetime, zone: ZoneInfo) -> "Month":
        """The month in which a moment lies at a place."""
        local = moment.astimezone(zone)
        return cls(year=local.year, number=local.month)

    def start(self, zone: ZoneInfo) -> datetime:
        """Its first instant at a place, in UTC."""
        return datetime(self.year, self.number, 1, tzinfo=zone).astimezone(UTC)

    def end(self, zone: ZoneInfo) -> datetime:
        """The first instant after it."""
        return self.plus(1).start(zone)

    def plus(self, n_month: int) -> "Month":
        """So many months later; earlier if negative."""
        years, index = divmod(self.number - 1 + n_month, N_MONTH)
        return Month(year=self.year + years, number=index + 1)

    @override
    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"
