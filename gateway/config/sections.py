"""One frozen dataclass per section of ``config.toml`` that is not about the site."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from gateway.config.reader import Range
from gateway.config.tls import TlsConfig
from gateway.errors import ConfigError

MAX_CORE: Final = 1_023
MAX_PORT: Final = 65_535
DAY_S: Final = 86_400
MAX_GROUP_CHARS: Final = 36
MAX_VENDOR_CHARS: Final = 255


class Engine(StrEnum):
    """Which solvers the optimizer may use."""

    AUTO = "auto"
    CVXPY = "cvxpy"


class PlanMode(StrEnum):
    """What plans care for once every limit holds."""

    FINISH = "finish"
    FAIR = "fair"
    ECONOMY = "economy"
    AUTO = "auto"


class LedgerBackend(StrEnum):
    """Where the log's head is anchored."""

    NONE = "none"
    EMBEDDED = "embedded"
    RPC = "rpc"


class SettlementMode(StrEnum):
    """How settled sessions get onto the chain."""

    INVOICES = "invoices"
    NETTED = "netted"
    PROVEN = "proven"
    BATCH = "batch"


class Regime(StrEnum):
    """What settles by itself."""

    STANDARD = "standard"
    EICHRECHT = "eichrecht"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Where stations connect; port 0 lets the system choose.

    Attributes:
        ocpp_host: Address that the OCPP ports listen on.
        ocpp_port: Number of the port without TLS.
        call_timeout_s: Real seconds that a station has to answer our call.
        max_frame_bytes: A longer frame closes the connection.
        compression: permessage-deflate; costs memory per connection.
        core: Number of the processor core that event loop and writer share: a third
            less CPU per message (docs/performance.md); ``None``: the system chooses.
    """

    ocpp_host: str = "0.0.0.0"  # noqa: S104 - stations come from the network
    ocpp_port: Annotated[int, Range(low=0, high=MAX_PORT)] = 9000
    call_timeout_s: Annotated[float, Range(low=1, high=300)] = 30.0
    max_frame_bytes: Annotated[int, Range(low=8_192, high=16_777_216)] = 131_072
    compression: bool = False
    core: Annotated[int | None, Range(low=0, high=MAX_CORE)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Where API, cockpit and driver pages listen.

    Attributes:
        host: Address; others than this machine only behind a TLS proxy.
        port: Number of the port; 0 lets the system choose.
        public_url: How stations and drivers reach it from outside, e.g. through a
            proxy; ``None``: by the host and port it listens on.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Range(low=0, high=MAX_PORT)] = 8080
    public_url: str | None = None

    def __post_init__(self) -> None:
        if self.public_url is not None and not _is_http(self.public_url):
            raise ConfigError("public_url", "must be an http or https URL with a host")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Where everything durable lives: database, keys, embedded chain.

    Attributes:
        path: The folder; made at the first start. Back it up as a whole.
    """

    path: Path = Path("data")

    @property
    def database_path(self) -> Path:
        """The database file."""
        return self.path / "wattproof.db"

    @property
    def chain_path(self) -> Path:
        """The embedded chain's file."""
        return self.path / "chain.db"

    @property
    def keys_path(self) -> Path:
        """Folder of the keys that sign on chain."""
        return self.path / "keys"

    @property
    def ca_path(self) -> Path:
        """Folder of the embedded authority, where ``[ca]`` names no files."""
        return self.path / "ca"

    @property
    def uploads_path(self) -> Path:
        """Folder of files that stations put here."""
        return self.path / "uploads"

    @property
    def log_key_path(self) -> Path:
        """Key that signs the log's checkpoints."""
        return self.path / "log.key"

    @property
    def pepper_path(self) -> Path:
        """Key file for password hashes."""
        return self.path / "keys" / "pepper.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class OcppConfig:
    """Conversation with stations.

    Attributes:
        pending_retry_s: Interval told to a station whose registration is pending.
        heartbeat_interval_s: Interval told to an accepted station.
        sample_interval_s: Meter sampling asked for during transactions.
        ping_interval_s: How often managed stations are told to ping, less where they
            give up messages sooner; ``None``: they keep their own.
        message_timeout_s: How long stations wait for an answer. A store that takes
            nothing for so long has the connections closed on which something waits.
        connection_timeout_s: How long stations wait for the plug after a remote start
            (their ConnectionTimeOut): without a session by then it had no effect.
        upgrade_deadline_s: Site seconds for an upgrade of the security profile, from
            the request until the station has come in with it.
        tls: The TLS port; ``None``: there is none.
        max_sessions_per_token: Transactions at once, for tokens that say nothing of
            their own; without one any number.
        authorize_counts: Refuse a token whose transactions are all running when it is
            presented already, not only when it starts another one.
        master_pass_group: Tokens of this group may stop every transaction and start
            none; the stations are told by ``MasterPassGroupId``.
        local_list: Keep the local authorization lists of managed stations in step with
            the tokens, unless the API says otherwise for a station.
        clear_cache_on_revoke: Have managed stations empty their authorization caches
            when a token that could charge no longer may.
        strict: Answer what breaks its schema with the exact CALLERROR instead of
            understanding it, for certification; stations in service lose by it.
        data_vendors: Vendor ids whose DataTransfer messages are accepted and kept.
    """

    pending_retry_s: Annotated[int, Range(low=1, high=DAY_S)] = 60
    heartbeat_interval_s: Annotated[int, Range(low=10, high=DAY_S)] = 300
    sample_interval_s: Annotated[int, Range(low=1, high=3_600)] = 60
    ping_interval_s: Annotated[int | None, Range(low=10, high=DAY_S)] = 60
    message_timeout_s: Annotated[int, Range(low=1, high=3_600)] = 30
    connection_timeout_s: Annotated[int, Range(low=1, high=3_600)] = 60
    upgrade_deadline_s: Annotated[int, Range(low=60, high=30 * DAY_S)] = DAY_S
    tls: TlsConfig | None = None
    max_sessions_per_token: Annotated[int | None, Range(low=1, high=1_000)] = None
    authorize_counts: bool = False
    master_pass_group: str | None = None
    local_list: bool = False
    clear_cache_on_revoke: bool = False
    strict: bool = False
    data_vendors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        group = self.master_pass_group
        if group is not None and not 1 <= len(group) <= MAX_GROUP_CHARS:
            raise ConfigError("master_pass_group", f"1 to {MAX_GROUP_CHARS} characters")
        for index, vendor in enumerate(self.data_vendors):
            if not 1 <= len(vendor) <= MAX_VENDOR_CHARS:
                raise ConfigError(
                    f"data_vendors[{index}]", f"1 to {MAX_VENDOR_CHARS} characters"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig:
    """What may come in; every default is the strict choice.

    Attributes:
        allow_unauthenticated: Stations need no password.
        auto_accept_stations: Unknown ids are adopted with the password they first
            present.
    """

    allow_unauthenticated: bool = False
    auto_accept_stations: bool = False

    def loosened(self) -> tuple[str, ...]:
        """Dotted keys of the settings that switch a protection off."""
        return tuple(
            f"security.{name}"
            for name in ("allow_unauthenticated", "auto_accept_stations")
            if getattr(self, name)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """How plans are made.

    Attributes:
        engine: Which solvers may be used; ``cvxpy`` is the slow reference.
        mode: What comes first once every limit holds: ``finish`` serves the most cars
            fully, ``fair`` shares a shortage in proportion, ``economy`` follows the
            price, ``auto`` follows it where past days left room for all cars.
        step_s: Length of a plan's step, site seconds; also the least time between two
            anchors of the log's head.
        horizon_s: How far plans look ahead; a multiple of ``step_s``.
        deadline_s: Real seconds that a solve may take before a rule decides.
        workers: Processes that solve.
        import_tariff: Id of the ``[[tariff]]`` the site buys energy by; without one
            plans know no price and charge early.
        feed_in_tariff: Id of the ``[[tariff]]`` that is earned for PV fed into the
            grid; without one it earns nothing, and PV saves the whole import price.
        fast_loop_s: Real seconds between two looks at the feeder meters, which need no
            solver: what is above a limit is cut at once.
        retest_firmware: Whether a proven station that runs another firmware is tested
            by itself, while nobody charges there. Until then its rating counts.
    """

    engine: Engine = Engine.AUTO
    mode: PlanMode = PlanMode.FINISH
    step_s: Annotated[int, Range(low=60, high=3_600)] = 900
    horizon_s: Annotated[int, Range(low=900, high=2 * DAY_S)] = DAY_S
    deadline_s: Annotated[float, Range(low=0.1, high=60)] = 5.0
    workers: Annotated[int, Range(low=1, high=64)] = 1
    import_tariff: str | None = None
    feed_in_tariff: str | None = None
    fast_loop_s: Annotated[float, Range(low=0.5, high=10)] = 2.0
    retest_firmware: bool = True

    def __post_init__(self) -> None:
        if self.horizon_s % self.step_s:
            raise ConfigError("horizon_s", f"must be a multiple of {self.step_s} s")


_RPC_ONLY: Final = (
    "rpc_url",
    "chain_id",
    "contracts_file",
    "key_file",
    "anchorer_key",
    "settler_key",
    "registrar_key",
    "passphrase_file",
    "passphrase_env",
    "signer_url",
    "confirmations",
    "daily_fees_gwei",
)


_KEY_REFERENCES: Final = ("anchorer_key", "settler_key", "registrar_key")
_VARIABLE: Final = re.compile("env:[A-Za-z_][A-Za-z0-9_]*")
_REMOTE_KEY: Final = re.compile("remote:0x[0-9a-fA-F]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerConfig:
    """Where evidence is anchored, how, and what of it is public.

    ``rpc_url`` to ``daily_fees_gwei`` are for ``rpc`` only.

    Attributes:
        backend: Where heads are anchored: a chain of one's own in a file, an EVM node,
            or nowhere.
        settlement: How sessions get onto the chain: as a root of invoices, which shows
            no amounts; as one sum for each driver's address and window; each with its
            amount in batches, or one by one with the proof that it is in the log.
        rpc_url: JSON-RPC endpoint of an EVM node, http or https.
        chain_id: The chain that must be there; without it any chain is taken.
        contracts_file: Where the contracts are, as ``wattproof ledger deploy`` wrote
            it; without it those that the database knows from an earlier version.
        key_file: A folder with one key per role (made on first use), or a file with one
            key for all roles; default: the store's keys.
        anchorer_key: Where the anchorer's key is instead: ``env:NAME`` (hexadecimal, in
            that environment variable) or ``remote:0xADDRESS`` (at ``signer_url``).
        settler_key: The same of the settler.
        registrar_key: The same of the registrar.
        passphrase_file: Opens keystores (``ROLE.json`` in the folder of keys).
        passphrase_env: Name of an environment variable with that passphrase instead.
        signer_url: JSON-RPC endpoint of the service that signs for remote keys, http or
            https: Web3Signer, or what answers ``eth_signTransaction`` as it does.
        confirmations: Blocks on top that make a block final; by default the chain says
            which blocks are.
        public_log: Answer for the log's public export below ``/log``; needs no token.
        witnesses: Keys of witnesses whose cosignatures are kept.
        daily_fees_gwei: What transactions of a day may cost at most, gas included, in
            gwei of the chain's coin; more waits, with an alarm. By default one coin.
    """

    backend: LedgerBackend = LedgerBackend.EMBEDDED
    settlement: SettlementMode = SettlementMode.INVOICES
    rpc_url: str | None = None
    chain_id: Annotated[int | None, Range(low=1, high=2**53)] = None
    contracts_file: Path | None = None
    key_file: Path | None = None
    anchorer_key: str | None = None
    settler_key: str | None = None
    registrar_key: str | None = None
    passphrase_file: Path | None = None
    passphrase_env: str | None = None
    signer_url: str | None = None
    confirmations: Annotated[int | None, Range(low=0, high=100_000)] = None
    daily_fees_gwei: Annotated[int | None, Range(low=1, high=10**15)] = None
    public_log: bool = False
    witnesses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.backend is not LedgerBackend.RPC:
            for name in _RPC_ONLY:
                if getattr(self, name) is not None:
                    raise ConfigError(name, 'is used with backend = "rpc" only')
        elif self.rpc_url is None:
            raise ConfigError("rpc_url", 'is required with backend = "rpc"')
        elif not _is_http(self.rpc_url):
            raise ConfigError("rpc_url", "must be an http or https URL with a host")
        if self.signer_url is not None and not _is_http(self.signer_url):
            raise ConfigError("signer_url", "must be an http or https URL with a host")
        if self.passphrase_file is not None and self.passphrase_env is not None:
            raise ConfigError("passphrase_env", "passphrase_file is given, too")
        for name in _KEY_REFERENCES:
            self._check_reference(name, getattr(self, name))

    def _check_reference(self, name: str, reference: str | None) -> None:
        """Refuse what is no reference, without repeating it: it may be a key."""
        if reference is None or _VARIABLE.fullmatch(reference):
            return
        if _REMOTE_KEY.fullmatch(reference) is None:
            raise ConfigError(name, "must be env:NAME or remote:0xADDRESS")
        if self.signer_url is None:
            raise ConfigError(name, "is remote: signer_url is required")


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingConfig:
    """Money.

    Attributes:
        currency: ISO 4217, of every tariff and bill.
        default_tariff: Id of the ``[[tariff]]`` for stations that name none;
            without one their sessions wait with the verdict ``no_tariff``.
        regime: What settles by itself: ``standard``: the verdicts ``ok`` and
            ``ok-unsigned``; ``eichrecht``: only readings signed by the meter.
        pricing_messages: Stations that can show prices and costs are told them, unless
            the API says otherwise for a station.
        cost_interval_s: Least time between two messages with a running cost; 2.0.1
            stations get such messages only if it is set, as answers tell costs there.
        language: RFC 5646, of texts for everybody: en, de, fr or nl; any other is en.
        issuer: Lines at the head of bills on paper: the operator's name, address and
            tax number.
        flexibility_pool_wh: What sessions share each day for waiting when a limit held
            them back, in Wh of flexibility; 0: nothing is shared.
    """

    currency: str = "EUR"
    default_tariff: str | None = None
    regime: Regime = Regime.STANDARD
    pricing_messages: bool = False
    cost_interval_s: Annotated[int | None, Range(low=5, high=3_600)] = None
    language: str = "en"
    issuer: tuple[str, ...] = ()
    flexibility_pool_wh: Annotated[int, Range(low=0, high=10**9)] = 0

    def __post_init__(self) -> None:
        if not (len(self.currency) == 3 and self.currency.isupper()):  # noqa: PLR2004 - ISO 4217
            raise ConfigError("currency", 'must be an ISO 4217 code such as "EUR"')


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0
