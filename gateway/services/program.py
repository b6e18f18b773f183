"""Runs a program that answers once: bounded in time and output, nothing left behind."""

import asyncio
import errno
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

MAX_REQUEST_BYTES: Final = 8_192
"""Every pipe takes as much at once, also if the program reads none of it."""

CHUNK_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a program ended.

    Attributes:
        code: Its exit code; negative: the signal that ended it.
        output: The begin of its standard output: at most one byte more than allowed.
        said: The begin of its error output, as bounded.
    """

    code: int
    output: bytes
    said: bytes


async def run_program(
    command: Sequence[str],
    request: bytes,
    *,
    environment: Mapping[str, str],
    timeout_s: float,
    max_output_bytes: int,
) -> Finished:
    """Run a program until it has ended and its outputs are closed.

    Whatever comes of it: the program is dead afterwards and our ends of its pipes are
    closed, even if a process that left its group still holds the others.

    Args:
        command: The program and its arguments.
        request: Its standard input; it need not read it.
        environment: All that it sees of ours.
        timeout_s: For everything.
        max_output_bytes: Of each output; what comes after is read and dropped.

    Raises:
        OSError: It cannot be run, or the request exceeds `MAX_REQUEST_BYTES`.
        TimeoutError: It took longer, or something that it started kept its outputs.
    """
    with ExitStack() as ours, ExitStack() as theirs:
        stdin = _filled(request, theirs)
        output = _Output(max_output_bytes, ours, theirs)
        said = _Output(max_output_bytes, ours, theirs)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=stdin,
            stdout=output.their_end,
            stderr=said.their_end,
            env=environment,
            start_new_session=True,
        )
        theirs.close()
        try:
            async with asyncio.timeout(timeout_s):
                await output.has_ended.wait()
                await said.has_ended.wait()
                code = await process.wait()
        except TimeoutError:
            _kill_group(process)  # also if it has ended: what it started may not have
            raise
        finally:
            if process.returncode is None:
                _kill_group(process)
                await process.wait()
    return Finished(code=code, output=bytes(output.begin), said=bytes(said.begin))


class _Output:
    """A pipe that a program writes to, read by the event loop until all have closed it.

    A bare file descriptor and no transport: closing it takes effect at once.
    """

    def __init__(self, max_bytes: int, ours: ExitStack, theirs: ExitStack) -> None:
        self._our_end, self.their_end = _pipe(ours, theirs)
        self._max_bytes = max_bytes + 1
        self.begin = bytearray()
        self.has_ended = asyncio.Event()
        os.set_blocking(self._our_end, False)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._our_end, self._read)
        ours.callback(loop.remove_reader, self._our_end)

    def _read(self) -> None:
        try:
            chunk = os.read(self._our_end, CHUNK_BYTES)
        except BlockingIOError:
            return
        self.begin += chunk[: self._max_bytes - len(self.begin)]
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._our_end)
            self.has_ended.set()


def _filled(request: bytes, theirs: ExitStack) -> int:
    """A pipe that holds the whole request, and its end after it."""
    with ExitStack() as writing:
        reading_end, writing_end = _pipe(theirs, writing)
        os.set_blocking(writing_end, False)
        if len(request) > MAX_REQUEST_BYTES:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        if os.write(writing_end, request) != len(request):
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
    return reading_end


def _pipe(reading: ExitStack, writing: ExitStack) -> tuple[int, int]:
    reading_end, writing_end = os.pipe()
    reading.callback(os.close, reading_end)
    writing.callback(os.close, writing_end)
    return reading_end, writing_end


def _kill_group(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
