"""For how long the store took nothing, and when stations are better off offline."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.errors import StoreBusy, StoreError
from gateway.services.ingest import IngestCounters
from gateway.services.store_watch import StoreWatch


@dataclass
class Desk:
    """Messages and a disk that a test plays."""

    counters: IngestCounters = field(default_factory=IngestCounters)
    is_down: bool = False
    is_full: bool = False
    probes: list[Callable[[None, BaseException | None], None]] = field(
        default_factory=list
    )
    n_waiting: int = 0
    now_s: float = 100.0

    def submit_with(self, _job: Any, on_done: Any) -> None:
        """Take a probe, or be full."""
        if self.is_full:
            raise StoreBusy("10000 writes are waiting")
        self.probes.append(on_done)

    def hang_up(self, _reason: str) -> int:
        """Close all that wait."""
        closed, self.n_waiting = self.n_waiting, 0
        return closed

    def fail(self) -> None:
        """A message that could not be stored."""
        self.counters.messages += 1
        self.counters.unanswered += 1
        self.is_down = True
        self.n_waiting += 1


def shut(watch: StoreWatch) -> bool:
    """As it is now."""
    return watch.is_shut


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture
async def watch(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> StoreWatch:
    made = StoreWatch(probes=desk, messages=desk, hang_up=desk.hang_up, timeout_s=30.0)
    assert asyncio.get_running_loop().is_running()
    monkeypatch.setattr(made, "_now_s", lambda: desk.now_s)
    return made


async def test_nothing_is_written_while_nothing_happens(
    desk: Desk, watch: StoreWatch
) -> None:
    watch.look()
    watch.look()
    assert desk.probes == []
    assert watch.blocked_s == 0


async def test_a_disk_that_hangs_counts_from_the_first_write_on(
    desk: Desk, watch: StoreWatch
) -> None:
    desk.counters.messages += 1
    watch.look()
    desk.now_s += 5
    watch.look()
    assert len(desk.probes) == 1, "one at a time"
    assert watch.blocked_s == 5
    assert not shut(watch)
    desk.probes[0](None, None)
    assert watch.blocked_s == 0


async def test_an_outage_as_long_as_stations_wait_hangs_up_until_a_write_succeeds(
    desk: Desk, watch: StoreWatch
) -> None:
    desk.fail()
    watch.look()
    desk.probes.pop()(None, StoreError("full"))
    desk.now_s += 29
    watch.look()
    assert watch.n_hung_up == 0
    desk.now_s += 1
    watch.look()
    assert shut(watch)
    assert watch.n_hung_up == 1
    desk.n_waiting = 2  # they began to wait since
    desk.probes.pop()(None, StoreError("full"))
    watch.look()
    assert watch.n_hung_up == 3
    desk.probes.pop()(None, None)
    assert not shut(watch)
    watch.look()
    assert watch.blocked_s == 0, "what failed before is not held against it"


async def test_a_small_write_that_succeeds_does_not_hide_messages_that_fail(
    desk: Desk, watch: StoreWatch
) -> None:
    desk.fail()
    for _ in range(30):
        watch.look()
        while desk.probes:
            desk.probes.pop()(None, None)
        assert not shut(watch)
        desk.now_s += 1
    watch.look()
    assert shut(watch)
    assert watch.n_hung_up == 1


async def test_a_message_that_is_stored_ends_it(desk: Desk, watch: StoreWatch) -> None:
    desk.fail()
    watch.look()
    desk.now_s += 20
    desk.is_down = False
    watch.look()
    desk.probes.pop()(None, None)
    assert watch.blocked_s == 0


async def test_a_queue_that_is_full_counts_as_well(
    desk: Desk, watch: StoreWatch
) -> None:
    desk.is_full = True
    desk.counters.messages += 1
    watch.look()
    desk.now_s += 30
    watch.look()
    assert shut(watch)
