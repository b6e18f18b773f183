"""The ``wattproof`` command: parses arguments, calls one part, sets the exit code.

Exit codes: 0 ok, 1 a check failed or the system could not start, 2 bad usage or
configuration. Parts are imported inside their command, so that ``--help`` is instant.
"""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from gateway.clock import SystemClock
from gateway.errors import ConfigError, StartupError

ROOT: Final = Path(__file__).resolve().parent.parent
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

_LEDGER: Final = (
    "import sys; from ledger.__main__ import main; sys.exit(main(prog=sys.argv.pop(1)))"
)
_PASS_ON: Final = {"allow_extra_args": True, "ignore_unknown_options": True}
_PASS_ON_AFTER_NAME: Final = {**_PASS_ON, "allow_interspersed_args": False}

app = typer.Typer(
    name="wattproof",
    help="OCPP central system: cabinets under their limit, bills on registers, proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
site_app = typer.Typer(help="The site map.", no_args_is_help=True)
token_app = typer.Typer(help="API tokens.", no_args_is_help=True)
app.add_typer(site_app, name="site")
app.add_typer(token_app, name="token")

ConfigPath = Annotated[Path, typer.Option("--config", help="Configuration file.")]
LogLevel = Annotated[
    str, typer.Option(help="Least level logged: debug, info, warning, error.")
]


class TokenRole(StrEnum):
    """Roles a token can have."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    AUDITOR = "auditor"


@app.command()
def run(config: ConfigPath = Path("config.toml"), log_level: LogLevel = "info") -> None:
    """Run the gateway on the system clock until it is told to stop."""
    loaded = _part("gateway.config").Config.load(config)
    _configure_log(log_level)
    raise typer.Exit(_part("gateway.app").run_gateway(loaded))


@app.command()
def demo(  # noqa: PLR0917 - the command line names them
    speed: Annotated[
        float, typer.Option(min=1, max=600, help="Site seconds per real second.")
    ] = 60,
    duration: Annotated[
        float | None,
        typer.Option(min=1, help="Real seconds; then a JSON summary on stdout."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same drivers.")] = 1,
    data: Annotated[
        Path | None, typer.Option(help="Folder for the data; default: data/demo.")
    ] = None,
    ocpp_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Instead of 9000.")
    ] = None,
    api_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Instead of 8080.")
    ] = None,
    log_level: LogLevel = "warning",
) -> None:
    """Run a built-in site with simulated chargers on a faster clock."""
    _configure_log(log_level)
    code = _part("gateway.demo").run_demo(
        speed=speed,
        duration_s=duration,
        seed=seed,
        data_dir=Path("data/demo") if data is None else data,
        ocpp_port=ocpp_port,
        api_port=api_port,
    )
    raise typer.Exit(code)


@site_app.command("check")
def site_check(
    config: ConfigPath = Path("config.toml"),
    as_json: Annotated[
        bool, typer.Option("--json", help="What is guaranteed, for programs.")
    ] = False,
) -> None:
    """Validate the site map and say what it can guarantee.

    Exit 2 with the dotted key on any error.
    """
    loaded = _part("gateway.config").Config.load(config)
    now = SystemClock().now()
    certificates = _part("gateway.services.certificate_check")
    claims = _part("gateway.domain.claim_text")
    loop_s = loaded.optimizer.fast_loop_s
    found = list(loaded.warnings)
    found += [
        f"{_part('gateway.config.load').key_of(loaded.site, problem)}: {problem.text}"
        for problem in claims.warnings(loaded.site, fast_loop_s=loop_s)
    ]
    found += _part("gateway.config").check_passwords(
        loaded.password_sources, os.environ
    )
    found += _part("gateway.config").check_devices(loaded.meters, os.environ)
    if loaded.ocpp.tls is not None:
        to_come = certificates.to_come(loaded)
        tls = _part("gateway.server.tls")
        found += tls.check(loaded.ocpp.tls, now, to_come=to_come)
        found += tls.legacy_warnings(loaded.ocpp.tls)
    found += certificates.check(loaded, now)
    found += [
        f"{key} = true switches a protection off" for key in loaded.security.loosened()
    ]
    if as_json:
        document = claims.as_json(loaded.site, tuple(found), fast_loop_s=loop_s)
        typer.echo(json.dumps(document, indent=2))
        return
    for line in (
        *_part("gateway.domain.site_text").describe(loaded.site),
        *(
            f"read: {line}"
            for line in _part("gateway.config.meters").described(
                loaded.meters, loaded.site.stations
            )
        ),
        *claims.describe(loaded.site, fast_loop_s=loop_s),
        *(f"warning: {warning}" for warning in found),
    ):
        typer.echo(line)


@token_app.command("new")
def token_new(
    role: Annotated[TokenRole, typer.Option(help="What the token may do.")],
    config: ConfigPath = Path("config.toml"),
    label: Annotated[str, typer.Option(help="Says whose it is.")] = "command line",
) -> None:
    """Make an API token and print it once; works while the gateway runs, too."""
    store = _part("gateway.config").Config.load(config).store
    api_tokens = _part("gateway.store.api_tokens")
    secret = api_tokens.create_token_in(
        store.database_path,
        role=api_tokens.Role(role.value),
        label=label,
        now=SystemClock().now(),
    )
    typer.echo(secret)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    config: ConfigPath = Path("config.toml"),
) -> None:
    """Copy everything durable, checked; works while the gateway runs, too."""
    store = _part("gateway.config").Config.load(config).store
    found = _part("gateway.store.backup").back_up(store, target, _say)
    for verdict in found:
        typer.echo(f"{verdict.part}: {verdict.text}")
    typer.echo(f"backup of {store.path} complete: {target}")


@app.command()
def check(
    folder: Annotated[
        Path | None, typer.Argument(help="A backup instead of store.path.")
    ] = None,
    config: ConfigPath = Path("config.toml"),
    deep: Annotated[
        bool, typer.Option("--deep", help="Also compute every hash of the log anew.")
    ] = False,
) -> None:
    """Check everything durable; exit 1 when a part is damaged. Changes nothing."""
    sections = _part("gateway.config.sections")
    store = (
        _part("gateway.config").Config.load(config).store
        if folder is None
        else sections.StoreConfig(path=folder)
    )
    is_good = True
    for verdict in _part("gateway.store.integrity").check_folder(store, _say):
        typer.echo(f"{verdict.part}: {verdict.text}")
        is_good = is_good and verdict.is_good
    if deep and is_good:
        verdict = _part("gateway.services.log_check").check_hashes(store, _say)
        typer.echo(f"{verdict.part}: {verdict.text}")
        is_good = verdict.is_good
    typer.echo("good" if is_good else "NOT GOOD")
    if not is_good:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def export(
    month: Annotated[str, typer.Argument(help="As 2026-03, by the site's clock.")],
    config: ConfigPath = Path("config.toml"),
) -> None:
    """Write the bills of a month as CSV; works while the gateway runs, too."""
    loaded = _part("gateway.config").Config.load(config)
    desk = _part("gateway.services.bill_files")
    try:
        which = _part("gateway.domain.months").Month.parse(month)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="MONTH") from error
    sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]  # the process's own stream
    site = loaded.site
    for line in desk.export(loaded.store.database_path, site, which, sys.stdout.write):
        _say(line)


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(help="Made, or brought up to date.")],
    config: ConfigPath = Path("config.toml"),
    for_auditors: Annotated[
        bool, typer.Option("--for-auditors", help="Plans and settlements, too.")
    ] = False,
) -> None:
    """Write the log's public export for witnesses; a gateway may be running."""
    store = _part("gateway.config").Config.load(config).store
    files = _part("gateway.services.log_files")
    now = SystemClock().now()
    typer.echo(files.publish(store, folder, now=now, discloses_private=for_auditors))


@app.command()
def erase(
    config: ConfigPath = Path("config.toml"),
    token: Annotated[
        str | None, typer.Option(help="All that this id token left.")
    ] = None,
    session: Annotated[str | None, typer.Option(help="One session, by its id.")] = None,
) -> None:
    """Erase a person for good, while no gateway runs; else POST /api/v1/erasures."""
    if (token is None) == (session is None):
        raise typer.BadParameter("one of --token, --session")
    store = _part("gateway.config").Config.load(config).store
    files = _part("gateway.services.erase_files")
    line = files.erase(store, SystemClock(), id_token=token, session_id=session)
    typer.echo(line)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def sim(context: typer.Context) -> None:
    """Simulated chargers against any central system."""
    _become("-m", "sim_chargers", *context.args)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def solve(context: typer.Context) -> None:
    """Solve one cabinet problem; prints the plan with its certificate."""
    _become("-m", "optimizer", *context.args)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def verify(context: typer.Context) -> None:
    """Verify a receipt or a plan; exit 1 when a check is false."""
    _become_ledger("wattproof", "verify", *context.args)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def ledger(context: typer.Context) -> None:
    """Contracts on a chain: deploy them, list roles, replace keys."""
    _become_ledger("wattproof ledger", *context.args)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def release(context: typer.Context) -> None:
    """Build a release and name it on the chain by its hashes."""
    _become_ledger("wattproof", "release", *context.args)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def witness(context: typer.Context) -> None:
    """Follow a log from its public export; an alarm when it is not one log."""
    _become_ledger("wattproof", "witness", *context.args)


@app.command(context_settings=_PASS_ON_AFTER_NAME)
def bench(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Which; without bench_ and .py.")],
) -> None:
    """Run one of the benchmarks."""
    folder = ROOT / "benchmarks"
    known = sorted(
        path.stem.removeprefix("bench_") for path in folder.glob("bench_*.py")
    )
    if name not in known:
        choices = ", ".join(known) or "none here: run it from a checkout"
        typer.echo(f"wattproof: no benchmark {name!r}; there are: {choices}", err=True)
        raise typer.Exit(EXIT_USAGE)
    _become(str(folder / f"bench_{name}.py"), *context.args)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code; expected errors take one line."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="wattproof")
    except ConfigError as error:
        typer.echo(f"wattproof: configuration: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except StartupError as error:
        typer.echo(f"wattproof: {error}", err=True)
        sys.exit(EXIT_FAILED)
    sys.exit(0)


def _part(name: str) -> Any:  # noqa: ANN401 - a module, imported only when needed
    return importlib.import_module(name)


def _say(line: str) -> None:
    """Progress, beside the results on stdout."""
    typer.echo(line, err=True)


def _configure_log(level: str) -> None:
    if level not in {"debug", "info", "warning", "error"}:
        raise typer.BadParameter(f"no such level: {level}", param_hint="--log-level")
    _part("gateway.log").configure(level=level)


def _become_ledger(called: str, *arguments: str) -> NoReturn:
    """Become the ledger's command line; its usage says what was typed."""
    _become("-c", _LEDGER, called, *arguments)


def _become(*arguments: str) -> NoReturn:
    """Replace this process by Python with other arguments: signals reach it."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - our own modules, no shell


if __name__ == "__main__":
    main()
