"""Carries the log's head, settlements and assets onto the chain, beside everything.

The ledger's worker runs in a thread, one step at a time; its database work goes through
the one writer. Charging never waits for it: while the chain is away the backlog grows
in the database, and one anchor catches up.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

import structlog

from gateway.bus import Bus, HeadAnchored, Lagged, Notice, SessionSettled, Subscription
from gateway.clock import Clock
from gateway.config import LedgerBackend, LedgerConfig, StoreConfig
from gateway.domain.ids import EvseRef, SessionId, StationId
from gateway.domain.topology import Site
from gateway.errors import StartupError, StoreError
from gateway.services.asset_register import AssetRegister
from gateway.services.battery_levels import Heard
from gateway.services.ledger_access import open_access
from gateway.services.public_status import PublicStatus, StatusLeaves
from gateway.services.sealing import install_ledger
from gateway.services.subtrees import Subtrees
from gateway.store.writer import Writer
from ledger import log
from ledger.errors import LedgerError
from ledger.receipt import BundleChain
from ledger.sqlite_store import SqliteStore

if TYPE_CHECKING:
    from ledger.ports import Chain, Signers
    from ledger.settle import AlgorithmRelease
    from ledger.worker import AnchorWorker, StepSummary

T = TypeVar("T")

CHAIN_UNAVAILABLE: Final = "chain-unavailable"
MAX_PAUSE_S: Final = 30.0
"""Real seconds between two steps at most: transactions under way are polled."""
SETTLE_DELAY_S: Final = 1.0
"""Real seconds to gather further settlements before one batch is sent."""
WRITE_TIMEOUT_S: Final = 60.0
RPC_TIMEOUT_S: Final = 10.0
"""Real seconds that a node has for one answer."""
MAX_TOLD: Final = 50
"""Alarms told in one trouble; a node that answers something else each time has more."""

DAILY_FEES_GWEI: Final = 10**9
"""One coin: a brake for what runs away, above what hundreds of anchors cost."""

_ON_CHAIN: Final = (
    "SELECT tx_id, session_id FROM settlement_queue"
    " JOIN outbox_tx USING (tx_id) JOIN bill USING (session_key)"
    " WHERE tx_id > ? AND state IN ('mined', 'final') ORDER BY tx_id"
)
_TO_CHAIN: Final = frozenset({"settled", "credited"})
"""What there is news of for the chain."""
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchoringSettings:
    """What anchoring needs of the configuration.

    Attributes:
        ledger: Which chain, and how it is reached.
        store: Where the embedded chain and the keys are.
        step_s: Least time between two anchors, site seconds.
    """

    ledger: LedgerConfig
    store: StoreConfig
    step_s: int = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorState:
    """Where the evidence stands, for API, cockpit and the demo's summary.

    Attributes:
        state: ``off``, ``starting``, or what the worker said: ``working``,
            ``deploying``, ``standby``, ``chain-unavailable``, ``alarm``.
        backlog: Leaves that no anchored head covers.
        anchored_root: Hex; ``None`` before the first anchor.
        alarms: What an operator must look at.
    """

    state: str
    leaf_count: int = 0
    backlog: int = 0
    anchored_size: int = 0
    anchored_root: str | None = None
    anchored_tx_hash: str | None = None
    anchored_block: int | None = None
    anchored_at: str | None = None
    settlements_pending: int = 0
    settlements_on_chain: int = 0
    settlements_refused: int = 0
    credits_pending: int = 0
    credits_on_chain: int = 0
    credits_refused: int = 0
    assets_pending: int = 0
    assets_on_chain: int = 0
    assets_refused: int = 0
    alarms: tuple[str, ...] = ()


class Anchoring:
    """Anchors while the gateway runs; run it as a task, flush it at the end.

    Args:
        writer: Runs all database work, `install_ledger` included.
        bus: Where heads and settlements on chain are announced.
        clock: Site clock.
        settings: See there.
        site: The site as it is now.
        limit_w: The limit in force of an EVSE, W; ``None``: its rating.
        heard: What a battery said last of itself; ``None``: nothing.
        tariff_id_of: Which tariff a station charges by; ``None`` for none.
    """

    def __init__(
        self,
        *,
        writer: Writer,
        bus: Bus,
        clock: Clock,
        settings: AnchoringSettings,
        site: Callable[[], Site],
        limit_w: Callable[[EvseRef], int | None] = lambda _evse: None,
        heard: Callable[[str], Heard | None] = lambda _battery: None,
        tariff_id_of: Callable[[StationId], str | None] = lambda _station: None,
    ) -> None:
        self._writer = writer
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._assets = AssetRegister(site=site, tariff_id_of=tariff_id_of)
        self._status = StatusLeaves(
            status=PublicStatus(site=site, limit_w=limit_w, heard=heard),
            step_s=settings.step_s,
        )
        self._subtrees = Subtrees(site=site, step_s=settings.step_s)
        self._stepping = threading.Lock()
        self._worker: AnchorWorker | None = None
        self._release: AlgorithmRelease | None = None
        self._close_chain: Callable[[], None] | None = None
        self._last_settled_tx = 0
        self._told: set[str] = set()
        is_off = settings.ledger.backend is LedgerBackend.NONE
        self._state = AnchorState(state="off" if is_off else "starting")

    @property
    def state(self) -> AnchorState:
        """Where the evidence stands since the last step."""
        return self._state

    @property
    def bundle_chain(self) -> BundleChain | None:
        """What receipts say of the chain; ``None`` without one."""
        return None if self._worker is None else self._worker.bundle_chain

    def release(self, release: "AlgorithmRelease") -> None:
        """Name a release in ``AlgorithmRegistry`` once the contracts are there.

        On a chain of others the key for that is not here: `ledger.release_publish`.
        """
        self._release = release

    async def prepare(self) -> None:
        """Open keys and chain now, to say what is wrong with them before the start.

        Raises:
            StartupError: They cannot be used.
        """
        if self._settings.ledger.backend is not LedgerBackend.NONE:
            await asyncio.to_thread(self._prepare)

    async def run(self) -> None:
        """Step for ever: on time, and soon after sessions settle."""
        await self._writer.run(install_ledger)
        if self._settings.ledger.backend is LedgerBackend.NONE:
            await self._keep_log()
        with self._bus.subscribe(
            "anchoring", wants=_is_settled, of=(SessionSettled,)
        ) as subscription:
            while True:
                await self._step_safely()
                await self._pause(subscription)

    async def flush(self) -> AnchorState:
        """Anchor and settle all there is, now.

        Raises:
            StoreError: The database refused.
            StartupError: The chain cannot be opened.
        """
        if self._settings.ledger.backend is not LedgerBackend.NONE:
            await self._writer.run(install_ledger)
            try:
                await self._step(flush=True)
            except LedgerError as error:
                raise StoreError(f"the ledger cannot be flushed: {error}") from error
        return self._state

    async def close(self) -> None:
        """Wait for a step under way, then let the chain's file go."""
        await asyncio.to_thread(self._close)

    async def _keep_log(self) -> NoReturn:
        """Do for ever what the log needs where no chain is its witness."""
        while True:
            try:
                await asyncio.to_thread(self._keep_log_in_thread)
                self._tell(AnchorState(state="off"))
            except StoreError as error:
                self._tell(AnchorState(state="off", alarms=(str(error),)))
            pause_s = self._clock.real_s(self._settings.step_s)
            await asyncio.sleep(min(pause_s, MAX_PAUSE_S))

    def _keep_log_in_thread(self) -> None:
        with self._stepping:
            self._gather(self._clock.now())
            while self._transact(log.extend_nodes):
                pass

    def _gather(self, now: datetime, *, flush: bool = False) -> None:
        """Seal what a timestep leaves, before its head is made."""
        self._assets.step(self._write, now)
        self._status.step(self._write, now, flush=flush)
        self._subtrees.step(self._write, now, flush=flush)

    async def _pause(self, subscription: Subscription) -> None:
        pause_s = min(self._clock.real_s(self._settings.step_s), MAX_PAUSE_S)
        try:
            async with asyncio.timeout(pause_s):
                await _until_settled(subscription)
                await asyncio.sleep(SETTLE_DELAY_S)
        except TimeoutError:
            return

    async def _step_safely(self) -> None:
        """Step; trouble of store or chain is told once and tried again."""
        try:
            await self._step(flush=False)
        except (StoreError, StartupError, LedgerError) as error:
            self._tell(AnchorState(state="alarm", alarms=(str(error),)))

    async def _step(self, *, flush: bool) -> None:
        before = self._state
        summary, settled = await asyncio.to_thread(self._step_in_thread, flush)
        state = _state_of(summary)
        self._tell(state)
        now = self._clock.now()
        if state.anchored_root is not None and (
            state.anchored_size != before.anchored_size
        ):
            tx_hash = state.anchored_tx_hash or ""
            _log.info(
                "batch.anchored",
                n_record=state.anchored_size,
                root=state.anchored_root,
                tx_hash=tx_hash,
                block=state.anchored_block,
            )
            self._bus.publish(
                HeadAnchored(
                    size=state.anchored_size,
                    root=state.anchored_root,
                    tx_hash=tx_hash,
                    at=now,
                )
            )
        for session_id in settled:
            self._bus.publish(
                SessionSettled(session_id=session_id, status="on_chain", at=now)
            )

    def _tell(self, state: AnchorState) -> None:
        """Remember a state; log each trouble once, and when all of it is over."""
        self._state = state
        if not state.alarms:
            if self._told:
                self._told.clear()
                _log.info("anchor.recovered", state=state.state, backlog=state.backlog)
            return
        # A node that is away is one trouble, whichever question met it.
        is_away = state.state == CHAIN_UNAVAILABLE
        troubles = {state.state} if is_away else set(state.alarms)
        if troubles <= self._told or len(self._told) >= MAX_TOLD:
            return
        self._told |= troubles
        _log.warning(
            "anchor.troubled",
            state=state.state,
            alarms=state.alarms,
            backlog=state.backlog,
        )

    def _prepare(self) -> None:
        with self._stepping:
            if self._worker is None:
                self._worker = self._open()

    def _step_in_thread(self, flush: bool) -> tuple["StepSummary", list[SessionId]]:
        with self._stepping:
            if self._worker is None:
                self._worker = self._open()
            now = self._clock.now()
            self._gather(now, flush=flush)
            if self._release is not None and self._worker.bundle_chain is not None:
                self._worker.publish(self._release, now)
                self._release = None
            summary = self._worker.step(now, flush=flush)
            rows = self._write(
                lambda conn: conn.execute(
                    _ON_CHAIN, (self._last_settled_tx,)
                ).fetchall()
            )
            if rows:
                self._last_settled_tx = rows[-1][0]
            return summary, [SessionId(row[1]) for row in rows]

    def _open(self) -> "AnchorWorker":
        # Imported here: the EVM takes a second to load, and only this thread waits.
        from ledger.runner import RunnerSettings  # noqa: PLC0415 - see above
        from ledger.settle import SettlementWay  # noqa: PLC0415 - see above
        from ledger.worker import AnchorWorker, WorkerSettings  # noqa: PLC0415 - see above

        ledger = self._settings.ledger
        access = open_access(ledger, self._settings.store)
        signers = access.signers
        if ledger.rpc_url is None:
            chain, close = self._open_embedded(signers)
        else:
            chain, close = self._open_rpc(ledger.rpc_url)
        self._close_chain = close
        try:
            self._last_settled_tx = self._write(_newest_settled_tx)
        except BaseException:
            self._let_go()
            raise
        return AnchorWorker(
            chain=chain,
            transact=self._transact,
            signers=signers,
            settings=WorkerSettings(
                anchor_interval_s=self._settings.step_s,
                way=SettlementWay(ledger.settlement.value),
                runner=RunnerSettings(daily_fees_wei=_daily_fees_wei(ledger)),
            ),
            book=access.book,
        )

    def _open_embedded(self, signers: "Signers") -> "tuple[Chain, Callable[[], None]]":
        from ledger.embedded import EmbeddedChain  # noqa: PLC0415 - loads the EVM

        try:
            chain = EmbeddedChain.create_or_open(
                self._settings.store.chain_path,
                clock=self._clock,
                funded=[*(one.address for one in signers.all()), signers.pauser],
            )
        except (LedgerError, OSError) as error:
            raise StartupError(f"cannot open the embedded chain: {error}") from error
        return chain, chain.close

    def _open_rpc(self, rpc_url: str) -> "tuple[Chain, Callable[[], None]]":
        from ledger.chain import JsonRpcChain  # noqa: PLC0415 - loads web3

        ledger = self._settings.ledger
        chain = JsonRpcChain(
            rpc_url,
            chain_id=ledger.chain_id,
            timeout_s=RPC_TIMEOUT_S,
            confirmations=ledger.confirmations,
        )
        return chain, chain.close

    def _close(self) -> None:
        with self._stepping:
            self._worker = None
            self._let_go()

    def _let_go(self) -> None:
        close, self._close_chain = self._close_chain, None
        if close is not None:
            close()

    def _transact(self, work: Callable[[SqliteStore], T]) -> T:
        return self._write(lambda conn: work(SqliteStore(conn)))

    def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._writer.submit(job).result(WRITE_TIMEOUT_S)
        except TimeoutError:
            raise StoreError(f"no commit within {WRITE_TIMEOUT_S:g} s") from None


def _daily_fees_wei(ledger: LedgerConfig) -> int | None:
    """Return what a day may cost; a chain of one's own costs nothing."""
    if ledger.rpc_url is None:
        return None
    return (ledger.daily_fees_gwei or DAILY_FEES_GWEI) * 10**9


def _is_settled(notice: Notice) -> bool:
    return isinstance(notice, SessionSettled) and notice.status in _TO_CHAIN


async def _until_settled(subscription: Subscription) -> None:
    while True:
        for notice in await subscription.batch():
            if isinstance(notice, Lagged) or _is_settled(notice):
                return


def _newest_settled_tx(conn: sqlite3.Connection) -> int:
    row = conn.execute(
        "SELECT coalesce(max(tx_id), 0) FROM settlement_queue"
        " JOIN outbox_tx USING (tx_id) WHERE state IN ('mined', 'final')"
    ).fetchone()
    return int(row[0])


def _state_of(summary: "StepSummary") -> AnchorState:
    anchored = summary.anchored
    return AnchorState(
        state=summary.state.value,
        leaf_count=summary.leaf_count,
        backlog=summary.backlog,
        anchored_size=0 if anchored is None else anchored.size,
        anchored_root=None if anchored is None else anchored.root.hex(),
        anchored_tx_hash=None if anchored is None else "0x" + anchored.tx_hash.hex(),
        anchored_block=None if anchored is None else anchored.block_number,
        anchored_at=None if anchored is None else anchored.anchored_at.isoformat(),
        settlements_pending=summary.settlements_pending,
        settlements_on_chain=summary.settlements_mined,
        settlements_refused=summary.settlements_refused,
        credits_pending=summary.credits_pending,
        credits_on_chain=summary.credits_mined,
        credits_refused=summary.credits_refused,
        assets_pending=summary.assets_pending,
        assets_on_chain=summary.assets_mined,
        assets_refused=summary.assets_refused,
        alarms=summary.alarms,
    )
