"""``release algorithm``: what is shown, what is sent, and that it is sent once.

It is sent to the file of an embedded chain (``--chain``), and to a node (``--rpc``).
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger import release, wheel
from ledger.__main__ import main
from ledger.address_book import read_book
from ledger.algorithms import PublishedAlgorithm, published_algorithm
from ledger.certificate import ALGORITHMS
from ledger.errors import ArtifactError
from ledger.keys import LocalSigner
from ledger.published import read_contracts
from ledger.release import PreparedRelease, is_published, prepare_release
from ledger.stored_book import book_of
from optimizer.outcome import ALGORITHM
from tests.support.ledger_backends import ON_A_NODE, Backend
from tests.support.ledger_site import make_site

ADMIN = bytes([7]) * 31 + bytes([1])
STRANGER = bytes([7]) * 31 + bytes([3])
URI = "https://example.invalid/wattproof_optimizer.whl"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedRelease:
    return prepare_release(tmp_path_factory.mktemp("dist"))


class Command:
    """The command in a folder with a chain, its contracts and keys."""

    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[str], backend: Backend
    ) -> None:
        self.folder, self.capsys, self.backend = folder, capsys, backend
        self.book = folder / "contracts.json"
        node = backend.node
        self.where = ["--chain", str(folder / "chain.db")]
        if node is not None:
            fixed = ["--chain-id", "31337", "--confirmations", "0"]
            self.where = ["--rpc", node.url, *fixed]

    def key(self, name: str, secret: bytes) -> str:
        path = self.folder / name
        path.write_text(secret.hex())
        path.chmod(0o600)
        return str(path)

    @property
    def signed(self) -> tuple[str, ...]:
        return ("--publish", "--publisher-key", self.key("admin.key", ADMIN))

    def __call__(self, *options: str) -> tuple[int, dict[str, Any], str]:
        code = main(
            [
                *("release", "algorithm", "--out", str(self.folder / "dist")),
                *(*self.where, "--contracts", str(self.book)),
                *("--patience-s", "60", *options),
            ]
        )
        said = self.capsys.readouterr()
        return code, json.loads(said.out or "{}"), said.err

    def registered(self) -> PublishedAlgorithm | None:
        registry = read_book(self.book).contracts["AlgorithmRegistry"].address
        with closing(self.backend.open(self.folder)) as chain:
            return published_algorithm(chain, registry, ALGORITHM)


@pytest.fixture
def command(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    prepared: PreparedRelease,
    monkeypatch: pytest.MonkeyPatch,
    backend: Backend,
) -> Iterator[Command]:
    with backend.apart():
        site = make_site(tmp_path, chain=backend.open(tmp_path))
        site.worker.step(site.clock.at, flush=True)
        site.conn.close()
        backend.close()  # the file of an embedded chain has one user
        command = Command(tmp_path, capsys, backend)
        book_of(tmp_path / "gateway.db", None).write(command.book)
        clean = replace(prepared, changed=())
        monkeypatch.setattr(release, "prepare_release", lambda _out: clean)
        yield command


def test_the_optimizer_is_known_by_name_and_every_hash_can_be_made_again(
    prepared: PreparedRelease, tmp_path: Path
) -> None:
    assert prepared.algorithm == ALGORITHM
    assert ALGORITHM in ALGORITHMS, "its plans can be verified"
    again = wheel.build_wheel("wattproof-optimizer", tmp_path)
    assert wheel.wheel_sha256(again) == prepared.wheel_sha256
    by_hand = "find optimizer -name '*.py' | LC_ALL=C sort | xargs sha256sum"
    shown = subprocess.check_output(
        ["sh", "-c", f"{by_hand} | sha256sum"], cwd=wheel.ROOT, text=True
    )
    assert shown.split()[0] == prepared.source_sha256.hex()
    entry = prepared.entry(datetime(2026, 11, 1, tzinfo=UTC), URI)
    assert (entry.version, entry.uri) == (ALGORITHM, URI)


def test_it_is_shown_then_sent_and_then_sent_no_more(
    command: Command, prepared: PreparedRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, shown, said = command("--uri", URI)
    assert (code, shown["published"]) == (0, False)
    assert shown["wheel_sha256"] == prepared.wheel_sha256.hex()
    assert "nothing is sent without --publish" in said
    assert command.registered() is None
    stranger = ("--publish", "--publisher-key", command.key("stranger", STRANGER))
    code, _, said = command(*stranger)
    assert code == 1
    assert "lacks PUBLISHER_ROLE" in said
    signed = command.signed
    clean = replace(prepared, changed=())
    dirty = replace(prepared, changed=("optimizer/solve.py",))
    monkeypatch.setattr(release, "prepare_release", lambda _out: dirty)
    code, _, said = command(*signed)
    assert (code, command.registered()) == (1, None)
    assert "not as committed: optimizer/solve.py" in said
    monkeypatch.setattr(release, "prepare_release", lambda _out: clean)
    code, shown, _ = command(
        *signed, "--uri", URI, "--active-from", "2026-11-01T00:00:00+00:00"
    )
    assert (code, shown["published"]) == (0, True)
    found = command.registered()
    assert found is not None
    assert (found.version, found.uri) == (ALGORITHM, URI)
    assert found.wheel_sha256 == prepared.wheel_sha256
    assert found.environment_sha256 == prepared.environment_sha256
    assert found.active_from == datetime(2026, 11, 1, tzinfo=UTC)
    code, shown, said = command(*signed)
    assert (code, shown["published"]) == (0, True)
    assert "is published already" in said
    assert command.registered() == found
    published = read_contracts(command.book)  # what verifiers take
    assert published.address("AlgorithmRegistry") is not None


def test_another_wheel_another_chain_and_no_chain_are_refused(
    command: Command, prepared: PreparedRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = json.loads(command.book.read_text("utf-8"))
    elsewhere = {**book, "chain_id": 1}
    command.book.write_text(json.dumps(elsewhere), encoding="utf-8")
    code, _, said = command(*command.signed)
    assert code == 1
    assert "the address file is of another chain" in said
    command.book.write_text(json.dumps(book), encoding="utf-8")
    assert command.registered() is None, "nothing was sent"
    assert command(*command.signed)[0] == 0
    found = command.registered()
    other = replace(prepared, wheel_sha256=bytes(32), changed=())
    monkeypatch.setattr(release, "prepare_release", lambda _out: other)
    code, _, said = command(*command.signed)
    assert (code, command.registered()) == (1, found)
    assert "what is published never changes" in said
    away = {"--rpc": "http://127.0.0.1:9", "--chain": str(command.folder / "none.db")}
    command.where[1] = away[command.where[0]]
    assert command(*command.signed)[0] == 1


@pytest.mark.parametrize("backend", ON_A_NODE, indirect=True)
def test_a_publication_that_is_broken_off_is_finished_and_sent_once(
    command: Command, prepared: PreparedRelease
) -> None:
    """Only on a node: an embedded chain mines what it takes, nothing is under way."""
    node = command.backend.node
    assert node is not None, "that is what it is parametrized with"
    sender = LocalSigner(ADMIN).address
    with closing(command.backend.open(command.folder)) as chain:
        before = chain.nonce(sender)
        node.ask("evm_setAutomine", False)
        code, _, said = command(*command.signed, "--patience-s", "0.2")
        assert code == 1, said
        assert (command.registered(), chain.nonce(sender)) == (None, before)
        code, _, said = command(*command.signed, "--patience-s", "0.2")
        assert code == 1, said
        node.ask("evm_setAutomine", True)
        node.ask("evm_mine")
        code, shown, said = command(*command.signed)
        assert (code, shown["published"]) == (0, True), said
        assert chain.nonce(sender) == before + 1
    found = command.registered()
    assert found is not None
    assert found.wheel_sha256 == prepared.wheel_sha256


def test_what_is_published_never_changes(prepared: PreparedRelease) -> None:
    known = PublishedAlgorithm(
        version=ALGORITHM,
        wheel_sha256=prepared.wheel_sha256,
        source_sha256=bytes(32),
        environment_sha256=prepared.environment_sha256,
        active_from=datetime(2026, 11, 1, tzinfo=UTC),
        published_at=datetime(2026, 11, 1, tzinfo=UTC),
        uri=URI,
    )
    assert is_published(prepared, known)
    assert list(release.differences(prepared, known)) == ["source"]
    with pytest.raises(ArtifactError, match="raise ALGORITHM"):
        is_published(prepared, replace(known, wheel_sha256=bytes(32)))


def test_bad_usage_and_a_folder_without_a_checkout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["release", "algorithm", "--active-from", "2026-11-01"])
    assert "without a time zone" in capsys.readouterr().err
    with pytest.raises(ArtifactError, match="no checkout"):
        prepare_release(tmp_path / "dist", tmp_path)
