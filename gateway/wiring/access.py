"""Who may use API and pages: tokens, one-time links, and the audit of what was done."""

import sqlite3
from collections.abc import Mapping

from gateway.api.context import Who
from gateway.store import api_tokens
from gateway.store.api_tokens import ApiToken, Role
from gateway.wiring.base import Base


class TokenAccess:
    """API tokens in the store; a `gateway.web.ports.Access`."""

    def __init__(self, base: Base) -> None:
        self._clock = base.clock
        self._wall_clock = base.wall_clock
        self._writer = base.writer
        self._queries = base.queries

    async def redeem(self, secret: str) -> str | None:
        """Exchange a one-time link for a session token; see ``web.ports.Access``."""
        now = self._wall_clock.now()
        found = await self._writer.run(
            lambda conn: api_tokens.redeem_link(conn, secret, now)
        )
        return None if found is None else found[0]

    async def role_of(self, secret: str) -> str | None:
        """The role of a valid token; see ``web.ports.Access``."""
        token = await self.find_token(secret)
        if token is None or not token.is_valid(self._wall_clock.now()):
            return None
        return token.role.value

    async def operator_of(self, secret: str) -> str | None:
        """Who may change something by the cockpit; see ``web.ports.Access``."""
        token = await self.find_token(secret)
        if token is None or not token.is_valid(self._wall_clock.now()):
            return None
        return token.token_id if token.role in {Role.OPERATOR, Role.ADMIN} else None

    async def admin_link(self, api_url: str) -> str | None:
        """A link that opens once, while no lasting admin token exists."""
        now = self._wall_clock.now()

        def job(conn: sqlite3.Connection) -> str | None:
            if api_tokens.has_admin(conn):
                return None
            return api_tokens.create_link(conn, role=Role.ADMIN, now=now)

        secret = await self._writer.run(job)
        return None if secret is None else f"{api_url}/login?code={secret}"

    async def find_token(self, secret: str) -> ApiToken | None:
        """A token by its secret, valid or not."""
        found = await self._queries.rows(
            api_tokens.TOKEN_BY_SHA256, (api_tokens.sha256_of(secret),)
        )
        return api_tokens.token_of_row(found[0]) if found else None

    async def audit(
        self, who: Who, action: str, subject: str, detail: Mapping[str, object]
    ) -> None:
        """Record what somebody did."""
        at = self._clock.now()
        await self._writer.run(
            lambda conn: api_tokens.audit(
                conn,
                at=at,
                actor=who.token_id,
                action=action,
                subject=subject,
                detail=detail,
            )
        )
