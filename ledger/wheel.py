"""Builds the wheels from a checkout so that everybody gets the same bytes.

The build backend is pinned and writes files in one order with one time and one mode.
What is left to the machine is compression, which differs between versions of zlib: so
the files are stored as they are. A wheel depends on the tree alone, then.

``python -m ledger.wheel FOLDER`` builds all of them; ``--check`` builds each twice, in
different places under different conditions, and compares.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.errors import ArtifactError

ROOT: Final = Path(__file__).resolve().parent.parent
PROJECTS: Final[Mapping[str, str]] = {
    "wattproof": ".",
    "wattproof-optimizer": "packages/optimizer",
    "wattproof-ledger": "packages/ledger",
}
"""Wheels by name, and where in the checkout their ``pyproject.toml`` is."""
BUILD_TIMEOUT_S: Final = 120
_EPOCH_S: Final = "1580601600"  # of every file in a wheel; before 1980 ZIP has no time
_NEEDED: Final = (
    *("gateway", "optimizer", "ledger", "sim_chargers", "packages"),
    *("contracts/artifacts", "pyproject.toml", "README.md", "LICENSE"),
)
_ZIP_SYSTEM_UNIX: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a build happens under, and must not show in the wheel.

    Attributes:
        umask: Of the process; -1 keeps it.
        environ: Variables beside those that are there.
    """

    umask: int = -1
    environ: Mapping[str, str] = field(default_factory=dict)


_PLAIN: Final = Conditions()
_APART: Final = (
    Conditions(
        umask=0o022,
        environ={"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "0"},
    ),
    Conditions(
        umask=0o077,
        environ={"LC_ALL": "C.UTF-8", "TZ": "Pacific/Apia", "PYTHONHASHSEED": "7"},
    ),
)


def build_wheel(
    name: str, out: Path, root: Path = ROOT, under: Conditions = _PLAIN
) -> Path:
    """Build one wheel of a checkout and return its path.

    Args:
        name: One of `PROJECTS`.
        out: Folder that it is put in.
        root: The checkout.
        under: See `Conditions`.

    Raises:
        ArtifactError: This is no checkout, or the build failed; the text says how.
    """
    project = root / PROJECTS[name]
    if not (project / "pyproject.toml").is_file():
        raise ArtifactError(f"no pyproject.toml in {project}: build from a checkout")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            done = subprocess.run(  # noqa: S603  # our own interpreter and backend
                [
                    *(sys.executable, "-m", "hatchling", "build"),
                    *("--target", "wheel", "--directory", scratch),
                ],
                cwd=project,
                env={**os.environ, **under.environ, "SOURCE_DATE_EPOCH": _EPOCH_S},
                umask=under.umask,
                capture_output=True,
                text=True,
                timeout=BUILD_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ArtifactError(f"{name} was not built: {error}") from error
        if done.returncode != 0:
            raise ArtifactError(f"{name} was not built: {done.stderr.strip()[-300:]}")
        (built,) = Path(scratch).glob("*.whl")
        _store(built, out / built.name)
        return out / built.name


def wheel_sha256(path: Path) -> bytes:
    """Return the hash of a file."""
    return hashlib.sha256(path.read_bytes()).digest()


def source_sha256(folder: Path) -> bytes:
    """Return the hash of a package's source: of the lines that ``sha256sum`` writes.

    ``find optimizer -name '*.py' | LC_ALL=C sort | xargs sha256sum | sha256sum``
    """
    files = sorted(
        (path.relative_to(folder.parent).as_posix(), path)
        for path in folder.rglob("*.py")
    )
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n"
        for name, path in files
    ]
    return hashlib.sha256("".join(lines).encode()).digest()


def build_apart(name: str, root: Path = ROOT) -> bytes:
    """Build a wheel in two places under different conditions; return its one hash.

    Folders, times of files, their modes, umask, locale, time zone and the seed of
    Python's hashes differ.

    Raises:
        ArtifactError: A build failed, or the two wheels differ.
    """
    with tempfile.TemporaryDirectory() as scratch:
        found = []
        for number, under in enumerate(_APART):
            place = Path(scratch, *["somewhere else"] * number, f"tree{number}")
            _copy(root, place, age_s=number * 86_400, mode=(0o644, 0o600)[number])
            out = Path(scratch, f"out{number}")
            found.append(wheel_sha256(build_wheel(name, out, place, under)))
    one, two = found
    if one != two:
        raise ArtifactError(f"{name}: two builds differ, {one.hex()} and {two.hex()}")
    return one


def main(argv: Sequence[str] | None = None) -> int:
    """Build the wheels, or check that they can be reproduced; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ledger.wheel", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("dist"))
    parser.add_argument("--check", action="store_true", help="build each twice")
    given = parser.parse_args(argv)
    try:
        for name in PROJECTS:
            if given.check:
                line = f"{build_apart(name).hex()}  {name}: the same from two places"
            else:
                path = build_wheel(name, given.out)
                line = f"{wheel_sha256(path).hex()}  {path}"
            print(line)  # noqa: T201  # command line
    except ArtifactError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  # command line
        return 1
    return 0


def _store(built: Path, target: Path) -> None:
    """Write a wheel anew without compression; times, modes and order are kept."""
    with zipfile.ZipFile(built) as source, zipfile.ZipFile(target, "w") as out:
        for info in source.infolist():
            plain = zipfile.ZipInfo(info.filename, info.date_time)
            plain.compress_type = zipfile.ZIP_STORED
            plain.external_attr = info.external_attr
            plain.create_system = _ZIP_SYSTEM_UNIX
            out.writestr(plain, source.read(info))


def _copy(root: Path, place: Path, *, age_s: int, mode: int) -> None:
    """Copy what the wheels are made of; every file gets another time and mode."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in _NEEDED:
        source, target = root / name, place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy(source, target)
    for path in place.rglob("*"):
        if path.is_file():
            path.chmod(mode)
            os.utime(path, (age_s + 10**9, age_s + 10**9))


if __name__ == "__main__":
    sys.exit(main())
