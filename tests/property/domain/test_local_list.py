"""Whatever a station refuses, our messages never lose track of its list."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.local_list import (
    MAX_REPAIRS,
    Held,
    Listed,
    ListKey,
    ListState,
    Room,
    Sync,
    Update,
    UpdateStatus,
    applied,
    fitting,
)

PER_ENTRY = 40
MAX_ROUNDS = 400


@dataclass
class ModelStation:
    """Holds a list as the specification says, and refuses when it feels like it."""

    moods: list[UpdateStatus]
    max_entries: int
    version: int = 0
    entries: dict[ListKey, str] = field(default_factory=dict)
    most_seen: int = 0

    def take(self, update: Update) -> UpdateStatus:
        mood = self.moods.pop(0) if self.moods else UpdateStatus.ACCEPTED
        if not update.is_full and update.version <= self.version:
            return UpdateStatus.VERSION_MISMATCH
        if mood is not UpdateStatus.ACCEPTED:
            return mood
        entries = {} if update.is_full else dict(self.entries)
        for gone in update.drop:
            entries.pop(gone.key, None)
        entries |= {entry.key: entry.document for entry in update.put}
        if len(entries) > self.max_entries:
            return UpdateStatus.FAILED
        self.entries, self.version = entries, update.version
        self.most_seen = max(self.most_seen, len(entries))
        return UpdateStatus.ACCEPTED


def tokens(names: str = "abcdefghijklmnop") -> st.SearchStrategy[list[Listed]]:
    return st.lists(
        st.builds(
            Listed,
            value=st.sampled_from(list(names)),
            kind=st.sampled_from(["", "eMAID"]),
            status=st.sampled_from(["Accepted", "Blocked", "Expired"]),
            group=st.sampled_from([None, "g"]),
        ),
        max_size=24,
    )


def by_key(entries: list[Listed]) -> dict[ListKey, Listed]:
    return {entry.key: entry for entry in entries}


def play(sync: Sync, station: ModelStation) -> list[Update]:
    sent: list[Update] = []
    while (update := sync.next()) is not None:
        sent.append(update)
        assert len(sent) < MAX_ROUNDS, "it never ends"
        sync.answered(update, station.take(update))
        if sync.needs_version:
            sync.station_has(station.version)
    return sent


rooms = st.builds(
    Room,
    max_entries=st.integers(0, 30),
    per_message=st.one_of(st.none(), st.integers(1, 7)),
    bytes_per_message=st.one_of(st.none(), st.integers(1, 5 * PER_ENTRY)),
)
moods = st.lists(st.sampled_from(list(UpdateStatus)), max_size=12)


@given(tokens(), tokens(), rooms, moods, st.integers(0, 9))
def test_a_list_we_call_synced_is_the_one_wanted_whatever_was_refused(
    before: list[Listed],
    after: list[Listed],
    room: Room,
    refusals: list[UpdateStatus],
    foreign_version: int,
) -> None:
    limit = room.max_entries
    assert limit is not None
    station = ModelStation([], limit, version=foreign_version)
    held: Held | None = None
    last_version = 0
    for entries, mood in ((before, []), (after, refusals), (before, []), (after, [])):
        station.moods = list(mood)
        wanted, left_out = fitting(by_key(entries), limit)
        assert len(wanted) + left_out == len(by_key(entries))
        sync = Sync(
            held=held,
            wanted=wanted,
            room=room,
            last_version=last_version,
            size=lambda _: PER_ENTRY,
        )
        play(sync, station)
        held, last_version = sync.held, sync.last_version
        if held is not None:
            assert dict(held.entries) == station.entries
            assert held.version == station.version
        if sync.state is ListState.SYNCED:
            assert station.entries == wanted
        if not mood:
            assert sync.state is ListState.SYNCED
    assert station.most_seen <= limit


@given(tokens(), tokens(), rooms)
def test_no_message_is_longer_than_the_station_takes(
    before: list[Listed], after: list[Listed], room: Room
) -> None:
    start, _ = fitting(by_key(before), room.max_entries)
    wanted, _ = fitting(by_key(after), room.max_entries)
    sync = Sync(
        held=Held(version=1, entries=start),
        wanted=wanted,
        room=room,
        last_version=1,
        size=lambda _: PER_ENTRY,
    )
    station = ModelStation([], 30, version=1, entries=dict(start))
    for update in play(sync, station):
        n_entry = len(update.put) + len(update.drop)
        assert update.version > 0
        if room.per_message is not None:
            assert n_entry <= max(1, room.per_message)
        if room.bytes_per_message is not None:
            assert n_entry <= max(1, room.bytes_per_message // PER_ENTRY)


@given(moods, tokens())
def test_a_station_that_refuses_is_asked_a_few_times_only(
    refusals: list[UpdateStatus], after: list[Listed]
) -> None:
    always: list[UpdateStatus] = list(refusals)
    always = [mood for mood in always if mood.value != "Accepted"]
    station = ModelStation(always, 30)
    station.moods += [UpdateStatus.FAILED] * 20
    wanted, _ = fitting(by_key(after), None)
    sync = Sync(
        held=Held(
            version=3,
            entries={
                ("old", ""): Listed(value="old", kind="", status="Accepted").document
            },
        ),
        wanted=wanted,
        room=Room(),
        last_version=3,
        size=lambda _: PER_ENTRY,
    )
    sent = play(sync, station)
    assert sync.state in {ListState.FAILED, ListState.UNSUPPORTED}
    assert len(sent) <= MAX_REPAIRS + 1


@given(tokens())
def test_an_entry_is_read_back_as_it_was_written(entries: list[Listed]) -> None:
    for entry in entries:
        assert Listed.from_document(entry.document) == entry


def test_changes_to_an_unknown_list_leave_it_unknown() -> None:
    entry = Listed(value="a", kind="", status="Accepted")
    assert applied(None, Update(is_full=False, version=2, put=(entry,))) is None
    whole = applied(None, Update(is_full=True, version=2, put=(entry,)))
    assert whole == Held(version=2, entries={("a", ""): entry.document})
