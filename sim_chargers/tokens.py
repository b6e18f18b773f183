"""What a station knows about id tokens by itself: the local list and the cache."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum


class Setting(Enum):
    """Settings that both versions have under names of their own: yes or no."""

    AUTHORISE_REMOTE = "authorise remote starts"
    CACHE_ENABLED = "keep verdicts"
    LIST_ENABLED = "use the local list"
    LOCAL_OFFLINE = "authorise locally while offline"
    LOCAL_PREAUTHORISE = "authorise locally while online"
    STOP_ON_INVALID = "stop when a token turns out invalid"
    UNKNOWN_OFFLINE = "let unknown tokens charge while offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEntry:
    """A verdict on a token; ``group`` is the parent's or group's id."""

    status: str = "Accepted"
    group: str | None = None
    until: datetime | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether the token may charge."""
        return self.status == "Accepted"

    def at(self, now: datetime) -> "TokenEntry":
        """Return the verdict at an instant: one that is too old is none."""
        if self.until is not None and now >= self.until and self.is_accepted:
            return replace(self, status="Expired")
        return self


@dataclass(slots=True)
class Tokens:
    """The local list with its version, and the cache; keys are folded."""

    listed: dict[str, TokenEntry] = field(default_factory=dict)
    version: int = 0
    cache: dict[str, TokenEntry] = field(default_factory=dict)

    def remember(self, token: str, entry: TokenEntry) -> None:
        """Keep a verdict of the central system; what is listed needs none."""
        if token.casefold() not in self.listed:
            self.cache[token.casefold()] = entry

    def find(
        self, token: str, now: datetime, *, with_list: bool, with_cache: bool
    ) -> TokenEntry | None:
        """Find a verdict; the list counts before the cache."""
        key = token.casefold()
        found = self.listed.get(key) if with_list else None
        if found is None and with_cache:
            found = self.cache.get(key)
        return None if found is None else found.at(now)

    def forget(self, token: str) -> None:
        """Forget a customer (N10)."""
        self.cache.pop(token.casefold(), None)
        self.listed.pop(token.casefold(), None)


def same(one: str, other: str) -> bool:
    """Compare tokens as both versions ask: without regard to case."""
    return one.casefold() == other.casefold()
