"""A headless Chromium over its DevTools protocol, for tests and for looking.

``python -m tests.support.browser URL OUT.png [WIDTH [HEIGHT [COOKIE=VALUE]]]``
"""

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """The browser's executable, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def require_browser() -> None:
    """Skip the test without a browser; fail where one is promised (``CI=true``)."""
    if chromium() is not None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail("no Chromium: apt-get install chromium fonts-dejavu-core")
    pytest.skip("needs Chromium")


class Page:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self.requests: list[str] = []
        self.problems: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its result."""
        number = next(self._ids)
        self._socket.send(
            json.dumps({"id": number, "method": method, "params": params})
        )
        while True:
            message = json.loads(self._socket.recv(timeout=20))
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait_for(self, script: str, *, timeout_s: float = 30.0) -> Any:
        """Wait until an expression is true and return it."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            try:
                if value := self.evaluate(script):
                    return value
            except RuntimeError as error:  # asked in the moment of leaving a page
                if "navigated" not in str(error):
                    raise
            time.sleep(0.1)
        raise TimeoutError(f"never true: {script}\nproblems: {self.problems}")

    def open(self, url: str) -> None:
        """Go to an address and wait until it is loaded."""
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def set_cookie(self, url: str, name: str, value: str) -> None:
        self.call("Network.setCookie", url=url, name=name, value=value)

    def set_size(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def set_dark(self, *, is_dark: bool) -> None:
        scheme = "dark" if is_dark else "light"
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def screenshot(self, path: Path, *, is_whole: bool = False) -> None:
        """Save what is seen, or the whole page."""
        if is_whole:
            width, height = self.evaluate(
                "[innerWidth, document.documentElement.scrollHeight]"
            )
            self.set_size(width, height)
            time.sleep(1)
        image = self.call("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(image["data"]))

    def foreign_requests(self) -> list[str]:
        """Requests that left this machine."""
        return [
            url
            for url in self.requests
            if urlsplit(url).scheme in {"http", "https", "ws", "wss"}
            and urlsplit(url).hostname != "127.0.0.1"
        ]

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Network.webSocketCreated":
                self.requests.append(params["url"])
            case "Runtime.exceptionThrown":
                self.problems.append(json.dumps(params["exceptionDetails"])[:500])
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.problems.append(params["entry"]["text"])
            case _:
                pass


@contextmanager
def browser_page(width: int = 1400, height: int = 1000) -> Iterator[Page]:
    """A fresh browser with one tab, gone with the block."""
    program = chromium()
    assert program is not None, "call require_browser first"
    with tempfile.TemporaryDirectory() as profile:
        process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--no-first-run",
                "--hide-scrollbars",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(
                _tab_address(Path(profile)), max_size=None, proxy=None
            ) as socket:
                page = Page(socket)
                for domain in ("Page", "Network", "Runtime", "Log"):
                    page.call(f"{domain}.enable")
                page.set_size(width, height)
                yield page
        finally:
            process.terminate()
            process.wait(10)
            time.sleep(0.2)


def _tab_address(profile: Path) -> str:
    port_file = profile / "DevToolsActivePort"
    until = time.monotonic() + 30
    while time.monotonic() < until:
        lines = port_file.read_text().splitlines() if port_file.exists() else []
        if len(lines) == 2:
            root = f"ws://127.0.0.1:{lines[0]}"
            with connect(root + lines[1], max_size=None, proxy=None) as socket:
                tab = Page(socket).call("Target.getTargets")["targetInfos"]
                pages = [one["targetId"] for one in tab if one["type"] == "page"]
                if pages:
                    return f"{root}/devtools/page/{pages[0]}"
        time.sleep(0.1)
    raise TimeoutError("Chromium did not open its DevTools port")


def screenshot(
    url: str,
    path: Path,
    width: int = 1400,
    height: int = 1000,
    cookies: Mapping[str, str] | None = None,
    *,
    is_dark: bool = False,
    settle_s: float = 4.0,
) -> None:
    """Save what a page looks like after ``settle_s`` seconds."""
    with browser_page(width, height) as page:
        page.set_dark(is_dark=is_dark)
        for name, value in (cookies or {}).items():
            page.set_cookie(url, name, value)
        page.open(url)
        time.sleep(settle_s)
        page.screenshot(path)


def dom(url: str, cookies: Mapping[str, str] | None = None) -> str:
    """The HTML of a page after its scripts have run for two seconds."""
    with browser_page() as page:
        for name, value in (cookies or {}).items():
            page.set_cookie(url, name, value)
        page.open(url)
        time.sleep(2)
        return str(page.evaluate("document.documentElement.outerHTML"))


if __name__ == "__main__":
    _, _url, _out, *_more = sys.argv
    _width, _height = [*(int(one) for one in _more if "=" not in one), 1400, 1000][:2]
    _cookies = dict(one.split("=", 1) for one in _more if "=" in one)
    screenshot(_url, Path(_out), _width, _height, _cookies)
