"""Erasing a person from a folder that no gateway runs on."""

import asyncio
from contextlib import ExitStack
from typing import Final

from gateway.clock import Clock
from gateway.config.sections import StoreConfig
from gateway.domain.ids import IdToken, SessionId
from gateway.errors import RequestError, StartupError
from gateway.services.erasure import Erased, Erasure
from gateway.services.sealing import install_ledger
from gateway.store.folder_lock import held
from gateway.store.writer import Writer

ACTOR: Final = "command line"


def erase(
    store: StoreConfig, clock: Clock, *, id_token: str | None, session_id: str | None
) -> str:
    """Erase what a token, or one session, left; what it was, in a line for people.

    Raises:
        StartupError: A gateway runs on the folder (ask it: ``POST /erasures``), there
            is no database, or it cannot be erased yet.
    """
    if not store.database_path.is_file():
        raise StartupError(f"there is no database {store.database_path}")
    try:
        done = asyncio.run(_erase(store, clock, id_token, session_id))
    except RequestError as error:
        raise StartupError(error.message) from error
    return f"{done.sessions} sessions, {done.leaves} records, {done.texts} messages"


async def _erase(
    store: StoreConfig, clock: Clock, id_token: str | None, session_id: str | None
) -> Erased:
    with ExitStack() as stack:
        stack.enter_context(held(store.path))
        writer = Writer(store.database_path)
        writer.start(asyncio.get_running_loop())
        stack.callback(writer.close)
        await writer.run(install_ledger)
        erasure = Erasure(writer=writer, clock=clock)
        if session_id is not None:
            return await erasure.session(SessionId(session_id), actor=ACTOR)
        assert id_token is not None, "the command line asks for one of the two"
        return await erasure.token(IdToken(value=id_token), actor=ACTOR)
