"""The program that signs: after it, no pipe of it stays open, whatever it did."""

import asyncio
import gc
import os
import signal
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.domain.certificates import CertificateUse
from gateway.domain.ids import StationId
from gateway.process import loop_factory
from gateway.services.authority import CommandAuthority
from gateway.services.csr import Expected, read_request
from gateway.services.program import MAX_REQUEST_BYTES, Finished, run_program
from gateway.services.x509 import CertificateError
from tests.support import pki
from tests.support.ocpp_port import until


@pytest.fixture(params=[None, loop_factory()], ids=["asyncio", "as deployed"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        runner.run(asyncio.sleep(0))
        yield runner


@pytest.fixture
def escaped(tmp_path: Path) -> Iterator[list[str]]:
    """A program that hides a child in another session, with its outputs, and waits."""
    pid_path = tmp_path / "pid"
    hide = f"setsid sh -c 'echo $$ >{pid_path}; exec sleep 60' &"
    wait = f"while ! [ -s {pid_path} ]; do sleep 0.01; done"
    yield ["sh", "-c", f"{hide} {wait}; sleep 60"]
    with suppress(ProcessLookupError):
        os.kill(int(pid_path.read_text()), signal.SIGKILL)


def open_files() -> set[str]:
    """What this process has open, by what it is: numbers are used again."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own
            found.add(str(link.readlink()))
    return found


async def refused(command: list[str]) -> str:
    authority = CommandAuthority(command, timeout_s=1, clock=SystemClock())
    request = read_request(pki.csr("NEW"), Expected(names=frozenset({"NEW"})))
    with pytest.raises(CertificateError) as caught:
        await authority.sign(
            request, station_id=StationId("NEW"), use=CertificateUse.STATION
        )
    return str(caught.value)


async def ran(*command: str, request: bytes = b"") -> Finished:
    return await run_program(
        command,
        request,
        environment={"PATH": os.environ["PATH"]},
        timeout_s=30,
        max_output_bytes=5,
    )


async def leaves_nothing(work: Callable[[], Awaitable[None]]) -> None:
    """Neither an open file nor a warning about one."""
    before = open_files()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        await work()
        assert open_files() == before
        gc.collect()
    assert [str(one.message) for one in told] == []


def test_a_program_whose_child_escapes_with_its_outputs_leaves_no_pipe_open(
    runner: asyncio.Runner, escaped: list[str]
) -> None:
    async def work() -> None:
        assert "more than 1 s" in await refused(escaped)

    runner.run(leaves_nothing(work))


def test_a_program_that_cannot_be_run_leaves_no_pipe_open(
    runner: asyncio.Runner,
) -> None:
    async def work() -> None:
        assert "cannot be run: No such file" in await refused(["./no-such-program"])

    runner.run(leaves_nothing(work))


def test_a_cancelled_wait_for_a_program_leaves_neither_it_nor_a_pipe(
    runner: asyncio.Runner, escaped: list[str], tmp_path: Path
) -> None:
    async def work() -> None:
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(ran(*escaped))
            await until((tmp_path / "pid").exists)
            waiting.cancel()
        assert waiting.cancelled()

    runner.run(leaves_nothing(work))


def test_output_is_bounded_and_input_need_not_be_read(runner: asyncio.Runner) -> None:
    async def work() -> None:
        request = b"x" * MAX_REQUEST_BYTES
        assert await ran("cat", request=request) == Finished(
            code=0, output=b"x" * 6, said=b""
        )
        assert await ran("sh", "-c", "echo no >&2; exit 3", request=request) == (
            Finished(code=3, output=b"", said=b"no\n")
        )
        with pytest.raises(OSError, match="Message too long"):
            await ran("cat", request=request + b"x")

    runner.run(leaves_nothing(work))
