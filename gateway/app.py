"""The running gateway: everything within one block, and its command's loop.

Parts (`gateway.wiring`) start in the order of their needs and stop in the reverse: the
OCPP port closes first, then plans and bills, then the evidence, and the store last.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

import structlog

from gateway.api.app import create_app
from gateway.api.serving import serving
from gateway.clock import Clock, SystemClock
from gateway.config import Config, check_devices, passwords
from gateway.cores import free_workers, kept_on
from gateway.domain.ids import StationId
from gateway.ports import API, OCPP, OCPP_LEGACY_TLS, OCPP_TLS, bind
from gateway.process import (
    calm_collector,
    keep_memory,
    on_hangup,
    run_to_end,
    share_interpreter,
    stop_on_signals,
    tasks,
)
from gateway.server.tls import check as check_tls
from gateway.services.anchoring import Anchoring
from gateway.services.authority_files import open_authority
from gateway.services.dispatch import Dispatch
from gateway.services.meter_key_desk import MeterKeyDesk
from gateway.services.needs import Needs
from gateway.services.overview import Overview
from gateway.services.settlement import Settlement
from gateway.store.folder_lock import refuse_if_held
from gateway.store.queries import Queries
from gateway.store.writer import Writer
from gateway.wiring.parts import open_parts

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A started gateway, as `run_gateway` and the demo see it."""

    clock: Clock
    writer: Writer
    queries: Queries
    dispatch: Dispatch
    settlement: Settlement
    anchoring: Anchoring
    overview: Overview
    needs: Needs
    meter_keys: MeterKeyDesk
    ocpp_url: str
    ocpp_tls_url: str | None
    ocpp_legacy_url: str | None
    api_url: str
    admin_link: str | None
    stop: asyncio.Event

    async def any_driver_link(self) -> str | None:
        """The driver's page of one running session, for the demo's greeting."""
        sessions = await self.queries.open_sessions()
        if not sessions:
            return None
        token = self.needs.driver_token(sessions[0].session_id)
        return f"{self.api_url}/d/{token}"


def run_gateway(config: Config) -> int:
    """Run on the system clock until SIGINT or SIGTERM; the exit code.

    Raises:
        ConfigError: A station's password, or a file of TLS or the certificate
            authority cannot be read.
        StartupError: A port is in use, or the store cannot be opened.
    """
    secrets = passwords(config.password_sources, os.environ)
    check_devices(config.meters, os.environ)
    if config.ca is not None:  # made now if need be: client_ca may be its certificate
        open_authority(config.ca, folder=config.store.ca_path, clock=SystemClock())
    if config.ocpp.tls is not None:
        check_tls(config.ocpp.tls, SystemClock().now())
    run_to_end(_run(config, secrets))
    return 0


async def _run(config: Config, secrets: Mapping[StationId, bytes]) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with running(
        config, clock=SystemClock(), passwords=secrets, on_stage=_say, stop=stop
    ) as gateway:
        for url, profiles in addresses(gateway, config):
            _say(f"OCPP     {url}/{{station_id}}  ({profiles})")
        _say(f"API      {gateway.api_url}/api/docs")
        if gateway.admin_link is not None:
            _say(f"Cockpit  {gateway.admin_link}  (opens once)")
        else:
            _say(f"Cockpit  {gateway.api_url}/cockpit")
        await stop.wait()


@asynccontextmanager
async def running(
    config: Config,
    *,
    clock: Clock,
    passwords: Mapping[StationId, bytes],
    on_stage: Callable[[str], None],
    stop: asyncio.Event,
    shipped_proven: Sequence[StationId] = (),
) -> AsyncIterator[Running]:
    """The whole gateway within the block.

    Args:
        config: Checked configuration.
        clock: Site clock.
        passwords: Of the configuration's stations.
        on_stage: Told about each stage of starting and stopping, one line each.
        stop: Set when the gateway shall stop.
        shipped_proven: Stations whose obedience is known from elsewhere (the demo's).

    Raises:
        StartupError: A port is in use, another gateway runs on the folder, or the store
            cannot be opened.
    """
    for key in config.security.loosened():
        _log.warning("security.loosened", setting=key)
    for warning in config.warnings:
        _log.warning("config.warning", text=warning)
    refuse_if_held(config.store.path)
    keep_memory()
    async with AsyncExitStack() as stack:
        bound = bind(config.api.host, config.api.port, API)
        stack.callback(bound.close)
        ocpp = bind(config.server.ocpp_host, config.server.ocpp_port, OCPP)
        stack.callback(ocpp.close)
        tls, ocpp_tls, legacy = config.ocpp.tls, None, None
        if tls is not None:
            ocpp_tls = bind(config.server.ocpp_host, tls.port, OCPP_TLS)
            stack.callback(ocpp_tls.close)
        if tls is not None and tls.legacy_port is not None:
            legacy = bind(config.server.ocpp_host, tls.legacy_port, OCPP_LEGACY_TLS)
            stack.callback(legacy.close)
        on_stage("opening the store")
        parts = await open_parts(config, clock, passwords, stack)
        on_stage("starting plans, bills and evidence")
        await parts.anchoring.prepare()
        await parts.command_queue.prepare()
        await parts.dispatch.ship_proven(shipped_proven)
        stack.push_async_callback(parts.finish)
        parts.start(await stack.enter_async_context(tasks()))
        await parts.dispatch.ready()
        api_url = parts.api_url = _url("http", *bound.getsockname()[:2])
        app = create_app(parts.api_context(), version=version("wattproof"))
        parts.mount_pages(app)
        on_stage("starting API and cockpit")
        await stack.enter_async_context(serving(app, bound))
        on_stage("opening the OCPP port")
        listener = parts.listener()
        port = await stack.enter_async_context(
            listener.listening(ocpp, ocpp_tls, legacy)
        )
        stack.enter_context(on_hangup(listener.reload_tls))
        parts.is_listening = True
        link = await parts.admin_link(api_url)
        calm_collector()
        share_interpreter()
        if config.server.core is not None:
            free_workers()
        stack.enter_context(kept_on(config.server.core, parts.writer.thread_id))
        yield Running(
            clock=clock,
            writer=parts.writer,
            queries=parts.queries,
            dispatch=parts.dispatch,
            settlement=parts.settlement,
            anchoring=parts.anchoring,
            overview=parts.overview,
            needs=parts.needs,
            meter_keys=parts.meter_keys,
            ocpp_url=_url("ws", config.server.ocpp_host, port) + "/ocpp",
            ocpp_tls_url=None
            if listener.tls_port is None
            else _url("wss", config.server.ocpp_host, listener.tls_port) + "/ocpp",
            ocpp_legacy_url=None
            if listener.legacy_port is None
            else _url("wss", config.server.ocpp_host, listener.legacy_port) + "/ocpp",
            api_url=api_url,
            admin_link=link,
            stop=stop,
        )
        on_stage("stopping")


def addresses(gateway: Running, config: Config) -> Iterator[tuple[str, str]]:
    """Where stations connect, and the security profiles that each address serves."""
    basic = "" if config.security.allow_unauthenticated is False else ", or no password"
    yield gateway.ocpp_url, f"security profile 1{basic}"
    tls = config.ocpp.tls
    if tls is not None and gateway.ocpp_tls_url is not None:
        profiles = "profile 2" if tls.client_ca is None else "profiles 2 and 3"
        without = "; 3 needs ocpp.tls.client_ca" if tls.client_ca is None else ""
        yield gateway.ocpp_tls_url, f"security {profiles}{basic}{without}"
    if gateway.ocpp_legacy_url is not None:
        yield gateway.ocpp_legacy_url, f"TLS 1.0 and later, legacy: profile 2{basic}"


def _say(line: str) -> None:
    sys.stdout.write(f"[wattproof] {line}\n")
    sys.stdout.flush()


def _url(scheme: str, host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - only compared
    if ":" in shown:
        shown = f"[{shown}]"
    return f"{scheme}://{shown}:{port}"
