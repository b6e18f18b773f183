"""Who asks: bearer tokens with roles, checked on every request; deny by default."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.api.context import ApiContext
from gateway.errors import RequestError
from gateway.store.api_tokens import Role

MAX_SECRET_CHARS: Final = 256
COOKIE: Final = "wattproof_session"

_RANK: Final = {Role.VIEWER: 0, Role.AUDITOR: 0, Role.OPERATOR: 1, Role.ADMIN: 2}

_bearer = HTTPBearer(auto_error=False, description="A token of `wattproof token new`")


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller."""

    token_id: str
    role: Role

    @property
    def is_admin(self) -> bool:
        """Whether it may do everything."""
        return self.role is Role.ADMIN


def context_of(request: Request) -> ApiContext:
    """The application's parts, as set at start."""
    context = request.app.state.context
    assert isinstance(context, ApiContext)
    return context


Context = Annotated[ApiContext, Depends(context_of)]

ADMIN_ACTIONS: Final = frozenset({"CustomerInformation"})
"""Calls about persons (2.0.1, N09, N10)."""


def check_action(caller: Caller, action: str) -> None:
    """Refuse calls that only an admin may have sent.

    Raises:
        RequestError: 403.
    """
    if action in ADMIN_ACTIONS and not caller.is_admin:
        raise RequestError(403, "admin_only", f"only an admin may send {action}")


async def authenticated(request: Request) -> Caller:
    """The caller behind a bearer token, or behind the cockpit's cookie for reading.

    Asked once per request; the answer is kept in its state.

    Raises:
        RequestError: 401.
    """
    known = getattr(request.state, "caller", None)
    if isinstance(known, Caller):
        return known
    bearer = await _bearer(request)
    secret = None if bearer is None else bearer.credentials
    if secret is None and request.method == "GET":
        secret = request.cookies.get(COOKIE)
    if not secret:
        raise RequestError(401, "no_token", "send Authorization: Bearer <token>")
    caller = await caller_of(context_of(request), secret)
    request.state.caller = caller
    request.state.secret = secret
    return caller


async def caller_of(context: ApiContext, secret: str) -> Caller:
    """Who a secret belongs to, now.

    Raises:
        RequestError: 401.
    """
    token = None
    if len(secret) <= MAX_SECRET_CHARS:
        token = await context.find_token(secret)
    if token is None or not token.is_valid(context.wall_clock.now()):
        raise RequestError(401, "bad_token", "the token is unknown, revoked or expired")
    return Caller(token.token_id, token.role)


async def authenticate(
    request: Request,
    _documented: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """`authenticated` as a dependency, so that OpenAPI knows of the token."""
    return await authenticated(request)


@dataclass(frozen=True, slots=True)
class Admits:
    """A dependency that admits callers of some roles.

    `gateway.api.requests.CheckedRoute` asks it before anything else of a request.
    """

    roles: frozenset[Role]
    text: str

    def check(self, caller: Caller) -> None:
        """Refuse a caller of another role.

        Raises:
            RequestError: 403.
        """
        if caller.role not in self.roles:
            raise RequestError(403, "forbidden", f"this needs the role {self.text}")

    async def __call__(
        self, caller: Annotated[Caller, Depends(authenticate)]
    ) -> Caller:
        """The caller, if admitted."""
        self.check(caller)
        return caller


def at_least(role: Role) -> Admits:
    """A dependency that admits callers of this role or a higher one."""
    roles = frozenset(one for one in Role if _RANK[one] >= _RANK[role])
    return Admits(roles, role.value)


_reads_evidence = Admits(frozenset(Role) - {Role.VIEWER}, "auditor or operator")

Viewer = Annotated[Caller, Depends(at_least(Role.VIEWER))]
Operator = Annotated[Caller, Depends(at_least(Role.OPERATOR))]
Admin = Annotated[Caller, Depends(at_least(Role.ADMIN))]
Auditor = Annotated[Caller, Depends(_reads_evidence)]
"""An auditor, or an operator and above: who reads what people did."""
