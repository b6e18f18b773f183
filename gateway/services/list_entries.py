"""Which tokens belong on which station's local authorization list."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.domain.ids import StationId
from gateway.domain.local_list import Listed, ListKey
from gateway.ocpp.lists import ListWords
from gateway.store.tokens import KnownToken

LISTED: Final = frozenset({"Accepted", "Blocked", "Expired", "NoCredit"})
"""Statuses worth a place; who is invalid is as unknown there as everyone else."""


@dataclass(frozen=True, slots=True)
class ListedTokens:
    """All tokens in the words of one version, made once for many stations.

    Attributes:
        everywhere: Entries of tokens without stations of their own.
        somewhere: The others, with their stations.
    """

    everywhere: dict[ListKey, Listed]
    somewhere: tuple[tuple[frozenset[str], Listed], ...]

    def at(self, station_id: StationId) -> dict[ListKey, Listed]:
        """What belongs on a station's list."""
        own = {
            entry.key: entry
            for stations, entry in self.somewhere
            if station_id in stations
        }
        return self.everywhere | own if own else self.everywhere


def listed_tokens(
    tokens: Sequence[KnownToken], words: ListWords, now: datetime
) -> ListedTokens:
    """Bring tokens into the words of a version.

    An entry of one type counts before the one for any type, as it does online; of
    several types 1.6 takes the first, as it does online.

    Args:
        tokens: By value, then type; the entry for any type first.
        words: Of the version.
        now: Site time, for what has expired.
    """
    everywhere: dict[ListKey, Listed] = {}
    somewhere: list[tuple[frozenset[str], Listed]] = []
    taken: set[ListKey] = set()
    ordered = tokens if _has_no_types(words) else _types_first(tokens)
    for token in ordered:
        entry = words.entry(_neutral(token, now))
        if entry is None or entry.key in taken:
            continue
        taken.add(entry.key)
        row = token.row
        is_bound = row.allowed_times is not None or row.evse_types is not None
        if row.status not in LISTED or (is_bound and row.status == "Accepted"):
            continue  # no list has room for times and types: stations ask
        if row.stations is None:
            everywhere[entry.key] = entry
        else:
            somewhere.append((row.stations, entry))
    return ListedTokens(everywhere, tuple(somewhere))


def _neutral(token: KnownToken, now: datetime) -> Listed:
    row = token.row
    status = row.status
    if row.expires_at is not None and row.expires_at <= now and status == "Accepted":
        status = "Expired"
    return Listed(
        value=token.value,
        kind=token.kind,
        status=status,
        expires_at=row.expires_at,
        group=row.group_id,
        evse_ids=row.evse_ids or (),
        language=row.language,
    )


def _has_no_types(words: ListWords) -> bool:
    probe = words.entry(Listed(value="x", kind="Local", status="Accepted"))
    return probe is not None and probe.kind == ""


def _types_first(tokens: Sequence[KnownToken]) -> list[KnownToken]:
    return sorted(tokens, key=lambda token: token.kind == "")
