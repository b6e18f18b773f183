"""When clocks change next."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gateway.domain.zone_offset import next_change, offset_text

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def test_the_next_change_is_found_to_the_second() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert offset_text(berlin, NOON) == "+02:00"
    at = next_change(berlin, NOON)
    assert at == datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
    assert offset_text(berlin, at) == "+01:00"


def test_a_zone_without_changes_has_none() -> None:
    assert next_change(ZoneInfo("UTC"), NOON) is None
    assert offset_text(ZoneInfo("Asia/Kolkata"), NOON) == "+05:30"
