"""The real MQTT broker, mosquitto, on a free port with a configuration of its own."""

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import pytest

from tests.support.ports import free_port

START_S = 30.0
PASS = "open sesame"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosquitto:
    """A running broker."""

    port: int
    username: str
    password: str

    async def publish(self, topic: str, text: str, *, retain: bool = False) -> None:
        """Publish as a meter does."""
        async with aiomqtt.Client(
            "127.0.0.1", self.port, username=self.username, password=self.password
        ) as client:
            await client.publish(topic, text, qos=1, retain=retain)


def program() -> str:
    """Where it is; skips where it is absent, fails where CI promises it."""
    found = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is not None:
        return found
    if os.environ.get("CI"):
        pytest.fail("mosquitto is not installed")
    pytest.skip("needs mosquitto")


@contextlib.asynccontextmanager
async def mosquitto(
    folder: Path, *, port: int | None = None, tls: tuple[Path, Path] | None = None
) -> AsyncIterator[Mosquitto]:
    """A broker that asks for a password, within the block.

    Args:
        folder: For its files.
        port: Instead of a free one.
        tls: Certificate and key: it speaks TLS only.
    """
    found = port or free_port()
    process = _started(folder, found, tls)
    try:
        await _until_listening(process, found)
        yield Mosquitto(port=found, username="site", password=PASS)
    finally:
        process.terminate()
        process.communicate(timeout=START_S)


def _started(
    folder: Path, port: int, tls: tuple[Path, Path] | None
) -> "subprocess.Popen[bytes]":
    path = program()
    passwords, settings = folder / "mosquitto.pw", folder / "mosquitto.conf"
    passwords.touch(mode=0o600)
    tool = shutil.which("mosquitto_passwd")
    lines = [f"listener {port} 127.0.0.1", "persistence false", "log_type none"]
    if tool is None:
        lines.append("allow_anonymous true")
    else:
        subprocess.run([tool, "-b", str(passwords), "site", PASS], check=True)
        lines += ["allow_anonymous false", f"password_file {passwords}"]
    if tls is not None:
        lines += [f"certfile {tls[0]}", f"keyfile {tls[1]}"]
    if os.getuid() == 0:
        lines.append("user root")
    settings.write_text("\n".join(lines) + "\n")
    return subprocess.Popen([path, "-c", str(settings)], stderr=subprocess.PIPE)


async def _until_listening(process: "subprocess.Popen[bytes]", port: int) -> None:
    async with asyncio.timeout(START_S):
        while True:
            assert process.poll() is None, process.communicate()[1].decode()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return
