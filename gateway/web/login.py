"""Coming in: a one-time link or a token becomes a cookie that scripts cannot read."""

from html import escape
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gateway.web.headers import COCKPIT_PATH
from gateway.web.plain import Markup, PlainPage
from gateway.web.ports import Access

COOKIE: Final = "wattproof_session"
LIFE_S: Final = 12 * 3600
"""As long as the token behind a one-time link lives."""
MAX_SECRET: Final = 200

_FORM: Final = (
    '<form method="post" action="/login">'
    '<label for="token">Token</label>'
    '<input id="token" name="token" type="password" autocomplete="off" required'
    ' maxlength="200" spellcheck="false">'
    "<button>Open the cockpit</button></form>"
)
_HOW: Final = (
    '<p class="soft">Get one on the machine that runs Wattproof:</p>'
    "<pre><code>wattproof token new --role admin</code></pre>"
    '<p class="soft">While no lasting admin token exists, each start also prints a new'
    " one-time link.</p>"
)


def is_same_origin(request: Request) -> bool:
    """Whether a form was sent by one of our own pages, or by no browser at all."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def came_from_elsewhere(request: Request) -> bool:
    """Whether another site led here: then the browser withholds the cookie once."""
    return request.headers.get("sec-fetch-site") == "cross-site"


async def role_of_request(request: Request, access: Access) -> str | None:
    """The role behind the cookie."""
    secret = request.cookies.get(COOKIE)
    return None if not secret else await access.role_of(secret)


class LoggedIn:
    """A dependency that admits to the cockpit, or sends to the login page."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def __call__(self, request: Request) -> None:
        """Pass, or raise.

        Raises:
            HTTPException: 303 to the login page.
        """
        if await role_of_request(request, self._access) is None:
            raise HTTPException(303, headers={"Location": "/login"})


class LoginPages:
    """The pages behind ``/login``."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._page = PlainPage("plain.html")

    async def answer(self, request: Request, code: str | None) -> Response:
        """A visit, with a one-time code or without."""
        if "prefetch" in request.headers.get("sec-purpose", ""):
            return Response(status_code=503)  # looking ahead must not use up a link
        if code is not None:
            return await self._redeem(request, code)
        is_in = await role_of_request(request, self._access) is not None
        if is_in or came_from_elsewhere(request):
            return self._welcome(request, None)
        return self._ask("Please log in", "The cockpit needs a token.", status=401)

    async def answer_form(self, request: Request, token: str) -> Response:
        """A token typed into the form."""
        if not is_same_origin(request):
            text = "The form was sent by another site."
            return self._ask("Not from here", text, status=403)
        secret = token.strip()
        if await self._access.role_of(secret) is None:
            text = "It is unknown, revoked or expired."
            return self._ask("This token does not work", text, status=403)
        return self._welcome(request, secret)

    async def _redeem(self, request: Request, code: str) -> Response:
        secret = await self._access.redeem(code) if len(code) <= MAX_SECRET else None
        if secret is None:
            text = "A link works once and only for a short time. Log in with a token."
            return self._ask("This link no longer works", text, status=403)
        return self._welcome(request, secret)

    def _ask(self, headline: str, text: str, *, status: int) -> HTMLResponse:
        body = Markup(f"<p>{escape(text)}</p>{_FORM}{_HOW}")
        return self._page.response(
            {
                "title": "Log in · Wattproof",
                "headline": headline,
                "body": body,
                "head": "",
            },
            status=status,
        )

    def _welcome(self, request: Request, secret: str | None) -> Response:
        """On to the cockpit, with the cookie if it is new.

        Coming from another site, the browser would withhold the cookie from a
        redirect; a page that moves on by itself is our own and gets it.
        """
        answer: Response = RedirectResponse(f"{COCKPIT_PATH}/", 303)
        if came_from_elsewhere(request):
            answer = self._page.response(
                {
                    "title": "Wattproof",
                    "headline": "Opening the cockpit…",
                    "body": Markup(f'<p><a href="{COCKPIT_PATH}/">Continue</a></p>'),
                    "head": Markup(
                        f'<meta http-equiv="refresh" content="0;url={COCKPIT_PATH}/">'
                    ),
                }
            )
        if secret is not None:
            answer.set_cookie(
                COOKIE,
                secret,
                max_age=LIFE_S,
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
            )
        return answer


def add_login(app: FastAPI, access: Access) -> None:
    """Add ``/login``."""
    pages = LoginPages(access)

    @app.get("/login", include_in_schema=False)
    async def login(request: Request, code: str | None = None) -> Response:
        return await pages.answer(request, code)

    @app.post("/login", include_in_schema=False)
    async def login_with_token(
        request: Request, token: Annotated[str, Form(max_length=MAX_SECRET)]
    ) -> Response:
        return await pages.answer_form(request, token)
