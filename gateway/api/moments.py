"""Times in requests: with an offset, and such that UTC has them, too."""

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, AwareDatetime


def _in_utc(moment: datetime) -> datetime:
    """The same instant in UTC, as everything behind the API reckons.

    Raises:
        ValueError: It lies beyond the first or the last year there.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC it is before year 1 or after year 9999") from None


Moment: TypeAlias = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""RFC 3339; 422 without an offset."""
