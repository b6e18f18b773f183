"""``wattproof witness`` at work: one line of JSON for each look."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from ledger.clock import Clock, SystemClock
from ledger.disclosed import RecordChecks
from ledger.errors import NoteError
from ledger.log_source import FolderSource, HttpSource, Source
from ledger.note import Algorithm, SigningKey, VerifierKey
from ledger.witness import Look, Witness, WitnessSettings
from ledger.witness_chain import ChainCheck, open_chain
from ledger.witness_state import StateFile

GOOD: Final = 0
ALARM: Final = 1
UNUSABLE: Final = 2


def run(
    arguments: argparse.Namespace,
    *,
    clock: Clock | None = None,
    emit: Callable[[str], None] = print,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Run the command and return its exit code."""
    emit = partial(emit, flush=True) if emit is print else emit
    now = (clock or SystemClock()).now
    try:
        file = StateFile(arguments.state)
        if arguments.forget_faults:
            file.save(replace(file.load(), faults=()))
        key = _key(arguments)
        if key is not None:
            emit(json.dumps({"event": "key", "key": key.verifier.text}))
        witness = _witness(arguments, file, key)
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
        check_record=RecordChecks(rpc_url=arguments.rpc, chain_path=arguments.chain),
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
        "withheld": dict(look.withheld),
        "erased": dict(look.erased),
        "waiting": look.waiting,
        "cosigned": look.cosigned is not None,
        "alarms": [
            {"alarm": one.alarm.value, "text": one.text} for one in look.objections
        ],
    }
    return json.dumps(found)
