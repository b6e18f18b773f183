"""Nothing acknowledged is lost by ``kill -9``, and a replay adds nothing."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from gateway.store.sqlite import Hooks, append_entry
from gateway.store.writer import Writer
from tests.support.journal import accept, entry, register, started, updated

ROOT = Path(__file__).parents[3]
ROUNDS = 5


def _run_until_killed(path: Path, first: int, seconds: float) -> list[tuple[str, int]]:
    """Acknowledged (wire id, offset) of one life."""
    command = [
        sys.executable,
        "-m",
        "tests.integration.store.crashing_writer",
        str(path),
        str(first),
    ]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    whole = [line.split() for line in lines if line.endswith("\n")]
    return [(parts[0], int(parts[1])) for parts in whole]


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "wattproof.sqlite3"
    rng = random.Random(9)  # noqa: S311 - when to kill, not a secret
    acknowledged: list[tuple[str, int]] = []
    for life in range(ROUNDS):
        acknowledged += _run_until_killed(path, life * 100_000, rng.uniform(0.02, 0.4))
    assert len(acknowledged) > 2 * ROUNDS

    writer = Writer(path)
    writer.start()
    hooks = Hooks(judge=accept)
    wire_ids = sorted({wire_id for wire_id, _ in acknowledged})
    counted = writer.submit(_counts).result()
    for wire_id in wire_ids:
        number, evse = (int(part) for part in wire_id.split("-"))
        repeats = (
            started(number, evse=evse, wire_id=wire_id, sequence=0),
            updated(
                number + 0.5,
                evse=evse,
                wire_id=wire_id,
                sequence=1,
                readings=(register(number + 0.5, 1000 + number),),
            ),
        )
        for event in repeats:
            message = entry(event, ours=False)
            writer.submit(partial(append_entry, entry=message, hooks=hooks)).result()
    after = writer.submit(_counts).result()
    stored = writer.submit(_wire_ids).result()
    offsets = writer.submit(_offsets).result()
    writer.close()
    assert {wire_id for wire_id, _ in acknowledged} <= stored
    assert {offset for _, offset in acknowledged} <= offsets
    sessions, readings = counted
    # The last round of a life may have been cut between start and sample.
    assert after[0] == sessions
    assert readings <= after[1] <= readings + 4 * ROUNDS
    assert after[1] == writer_distinct(path)


def _counts(conn: sqlite3.Connection) -> tuple[int, int]:
    sessions = conn.execute("SELECT count(*) FROM session").fetchone()[0]
    readings = conn.execute("SELECT count(*) FROM reading").fetchone()[0]
    return sessions, readings


def _wire_ids(conn: sqlite3.Connection) -> set[str]:
    return {row[0] for row in conn.execute("SELECT transaction_id FROM session")}


def _offsets(conn: sqlite3.Connection) -> set[int]:
    return {row[0] for row in conn.execute("SELECT offset FROM frame")}


def writer_distinct(path: Path) -> int:
    """Readings that differ in place or time."""
    conn = sqlite3.connect(path)
    try:
        found: int = conn.execute(
            "SELECT count(*) FROM (SELECT DISTINCT session_id, sampled_at FROM reading)"
        ).fetchone()[0]
    finally:
        conn.close()
    return found
