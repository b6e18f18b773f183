"""Who may charge: what the central system says, or what the station knows itself."""

import logging
from typing import Final

from sim_chargers.life import Life
from sim_chargers.tokens import Setting, TokenEntry
from sim_chargers.wire import Answer

UNKNOWN: Final = TokenEntry(status="Unknown")

_log = logging.getLogger(__name__)


class Admission(Life):
    """A station that judges id tokens."""

    async def is_authorised(self, token: str) -> bool:
        """Whether a token may charge."""
        return (await self.verdict(token)).is_accepted

    async def verdict(self, token: str) -> TokenEntry:
        """Ask the central system, or what is known locally where that is allowed."""
        known = self.known(token)
        is_first = self.is_online and self.is_set(Setting.LOCAL_PREAUTHORISE)
        if is_first and known is not None and known.is_accepted:
            return known
        if self.is_online:
            outcome = await self.link.call("Authorize", self.authorize_payload(token))
            if isinstance(outcome, Answer):
                try:
                    entry = self.token_entry(outcome.payload)
                except (KeyError, TypeError, ValueError) as error:
                    _log.warning("%s: no verdict: %r", self.spec.id, error)
                    return UNKNOWN
                self.tokens.remember(token, entry)
                return entry.at(self.now())
        if known is not None and self.is_set(Setting.LOCAL_OFFLINE):
            return known
        if self.is_set(Setting.UNKNOWN_OFFLINE) and known is None:
            return TokenEntry()
        return UNKNOWN

    def known(self, token: str) -> TokenEntry | None:
        """Return what the local list or the cache says about a token."""
        return self.tokens.find(
            token,
            self.now(),
            with_list=self.is_set(Setting.LIST_ENABLED),
            with_cache=self.is_set(Setting.CACHE_ENABLED),
        )
