"""``wattproof witness``: follows a log from its public export, one JSON line a look.

Exit codes with ``--once``: 0 all is well, 1 an alarm, 2 bad usage or a state of its own
that cannot be used. Without it the program runs until it is stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ledger.disclosed import CheckPlan, RecordChecks
from ledger.errors import NoteError
from ledger.log_source import FolderSource, HttpSource, Source
from ledger.note import Algorithm, SigningKey, VerifierKey
from ledger.witness import Look, Witness, WitnessSettings
from ledger.witness_chain import ChainCheck, open_chain
from ledger.witness_state import StateFile

EVERY_S: Final = 300.0
STALE_S: Final = 3600.0
GOOD, ALARM, UNUSABLE = 0, 1, 2

Emit = Callable[[str], None]


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("source", metavar="URL|FOLDER", help="the public export")
    command.add_argument(
        "--state", type=Path, required=True, metavar="FILE", help="what it remembers"
    )
    asked = command.add_mutually_exclusive_group()
    asked.add_argument("--rpc", metavar="URL", help="node to compare heads with")
    asked.add_argument(
        "--chain", type=Path, metavar="PATH", help="file of an embedded chain instead"
    )
    command.add_argument(
        "--anchor", metavar="ADDRESS", help="the contract, as published elsewhere"
    )
    command.add_argument(
        "--log-key", metavar="KEY", help="the log's key, as published elsewhere"
    )
    command.add_argument(
        "--key", type=Path, metavar="FILE", help="cosign with this key; made if absent"
    )
    command.add_argument(
        "--name", help="name of the key; by default it follows from it"
    )
    command.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="an auditor's token, to see more",
    )
    command.add_argument("--once", action="store_true", help="look once and exit")
    command.add_argument(
        "--every",
        type=float,
        default=EVERY_S,
        metavar="S",
        help="seconds between looks",
    )
    command.add_argument(
        "--stale", type=float, default=STALE_S, metavar="S", help="no news for so long"
    )
    command.add_argument(
        "--forget-faults",
        action="store_true",
        help="go on after records that were wrong: somebody has looked at them",
    )


def run(
    arguments: argparse.Namespace,
    emit: Emit,
    *,
    check_plan: CheckPlan | None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Run the command and return its exit code."""
    try:
        file = StateFile(arguments.state)
        if arguments.forget_faults:
            file.save(replace(file.load(), faults=()))
        key = _key(arguments)
        if key is not None:
            emit(json.dumps({"event": "key", "key": key.verifier.text}))
        witness = _witness(arguments, file, key, check_plan)
        while True:
            look = witness.look(now())
            if look.cosigned is not None:
                file.keep_evidence("cosigned", look.cosigned)
            emit(_line(look, now()))
            if arguments.once:
                return ALARM if look.objections else GOOD
            sleep(arguments.every)
    except (NoteError, OSError) as error:
        emit(json.dumps({"event": "error", "text": str(error)}))
        return UNUSABLE
    except KeyboardInterrupt:
        return GOOD


def _witness(
    arguments: argparse.Namespace,
    file: StateFile,
    key: SigningKey | None,
    check_plan: CheckPlan | None,
) -> Witness:
    source = _source(arguments)
    has_chain = arguments.rpc is not None or arguments.chain is not None
    chain = open_chain(arguments.rpc, arguments.chain)
    given = arguments.log_key
    return Witness(
        source=source,
        file=file,
        settings=WitnessSettings(
            log_key=None if given is None else VerifierKey.parse(given),
            stale_s=arguments.stale,
        ),
        check_record=RecordChecks(
            check_plan=check_plan, rpc_url=arguments.rpc, chain_path=arguments.chain
        ),
        check_chain=ChainCheck(source=source, chain=chain, anchor=arguments.anchor)
        if has_chain
        else None,
        key=key,
    )


def _source(arguments: argparse.Namespace) -> Source:
    token = arguments.token_file
    if not arguments.source.startswith(("http://", "https://")):
        return FolderSource(Path(arguments.source))
    return HttpSource(
        arguments.source,
        token=None if token is None else token.read_text(encoding="utf-8").strip(),
    )


def _key(arguments: argparse.Namespace) -> SigningKey | None:
    if arguments.key is None:
        return None
    return SigningKey.load(
        arguments.key, name=arguments.name, algorithm=Algorithm.COSIGNATURE
    )


def _line(look: Look, at: datetime) -> str:
    checkpoint = look.checkpoint
    found: dict[str, object] = {
        "at": at.isoformat(timespec="seconds"),
        "event": "alarm" if look.objections else "good",
        "origin": None if checkpoint is None else checkpoint.origin,
        "size": None if checkpoint is None else checkpoint.size,
        "root": None if checkpoint is None else checkpoint.root.hex(),
        "checked": dict(look.checked),
        "cosigned": look.cosigned is not None,
        "alarms": [
            {"alarm": one.alarm.value, "text": one.text} for one in look.objections
        ],
    }
    return json.dumps(found)
