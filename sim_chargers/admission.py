"""Who may charge: what the central system says, or what the station knows itself."""

import logging
from typing import Final

from sim_chargers.connector import Connector
from sim_chargers.life import Life
from sim_chargers.outcomes import Answer
from sim_chargers.tokens import Setting, TokenEntry

UNKNOWN: Final = TokenEntry(status="Unknown")

_log = logging.getLogger(__name__)


class Admission(Life):
    """A station that judges id tokens and keeps connectors for them."""

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

    def forget_reservation(self, reservation_id: int) -> bool:
        """Drop a reservation; False where there is none."""
        for connector in self.connectors.values():
            kept = connector.reservation
            if kept is not None and kept.reservation_id == reservation_id:
                connector.reservation = None
                return True
        return False

    def drop_reservation(self, connector: Connector) -> None:
        """End a reservation that cannot be kept any more."""
        if connector.reservation is not None:
            self.reservation_over(connector.reservation.reservation_id, "Removed")
            connector.reservation = None
