"""A witness follows a log, and nothing that is not one log gets past it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from ledger import log
from ledger.checkpoint import Checkpoint
from ledger.disclosed import RecordChecks
from ledger.errors import NoteError
from ledger.note import Algorithm, SigningKey, parse_note
from ledger.witness import WitnessSettings
from ledger.witness_state import StateFile
from tests.support.public_log import (
    LOG_KEY,
    WITNESS_KEY,
    Follower,
    PublicLog,
    files,
    public_log,
    rewrite,
    words,
)


@pytest.fixture
def site(tmp_path: Path) -> PublicLog:
    return public_log(tmp_path / "export")


@pytest.fixture
def follower(site: PublicLog, tmp_path: Path) -> Follower:
    return Follower(log=site, state=tmp_path / "state.json")


def test_a_log_that_grows_is_followed_and_every_head_is_cosigned(
    site: PublicLog, follower: Follower
) -> None:
    # Across tiles: partial, full, a second level, and nothing new at all.
    for n_reading in (0, 1, 254, 1, 300, 0, 1000):
        site.read(n_reading)
        site.publish()
        look = follower.look()
        assert words(look) == []
        assert look.cosigned is not None
        note = parse_note(look.cosigned.encode())
        head = log.head(site.store)
        signed = Checkpoint.parse(note.text)
        assert (signed.size, signed.root) == (head.size, head.root)
        assert note.is_signed_by(LOG_KEY.verifier)
        assert note.seen_at(WITNESS_KEY.verifier) == int(site.at.timestamp())
    assert StateFile(follower.state).load().seen.size == 1556


def test_nothing_of_a_person_is_in_the_export(site: PublicLog) -> None:
    site.read(3)
    site.leaf("asset", "1", {"asset_id": "1", "asset_kind": "pv", "is_public": False})
    site.leaf("asset", "2", {"asset_id": "2", "asset_kind": "pv", "is_public": True})
    site.status()
    site.publish()
    salts = [
        row[0].hex() for row in site.conn.execute("SELECT salt FROM leaf").fetchall()
    ]
    everything = b"".join(
        path.read_bytes() for path in site.folder.rglob("*") if path.is_file()
    )
    for hidden in (b"person", b"meter", b"station", b'"asset_id":"1"'):
        assert hidden not in everything
    shown = [number for number, salt in enumerate(salts) if salt.encode() in everything]
    assert shown == [4, 5], "the public asset and the public status"


def test_a_forked_log_is_noticed_and_both_notes_are_kept(
    site: PublicLog, follower: Follower, tmp_path: Path
) -> None:
    site.read(300)
    site.publish()
    assert words(follower.look()) == []
    other = public_log(tmp_path / "fork", at=site.at)
    other.read(301)
    other.publish()
    follower.log = other
    look = follower.look()
    assert words(look) == ["fork"]
    assert look.cosigned is None
    evidence = follower.state.with_name("state.json.fork-301.txt").read_text("utf-8")
    assert len(re.findall(r"^\u2014 example\.org/log ", evidence, re.MULTILINE)) == 2
    assert words(follower.look()) == ["fork"], "it does not get used to it"
    site.publish()
    follower.log = site
    assert words(follower.look()) == [], "the log it knows is still good"


def test_a_fork_of_the_same_size_is_noticed(
    site: PublicLog, follower: Follower, tmp_path: Path
) -> None:
    site.read(7)
    site.publish()
    follower.look()
    other = public_log(tmp_path / "other", at=site.at)
    other.read(7)
    other.publish()
    follower.log = other
    assert words(follower.look()) == ["fork"]


def test_a_shrunken_log_is_noticed(
    site: PublicLog, follower: Follower, tmp_path: Path
) -> None:
    site.read(5)
    site.publish()
    site.read(5)
    backup = public_log(tmp_path / "backup", at=site.at)
    for row in site.conn.execute("SELECT * FROM leaf WHERE leaf_index < 5").fetchall():
        backup.conn.execute("INSERT INTO leaf VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    site.publish()
    assert words(follower.look()) == []
    backup.publish()
    follower.log = backup
    look = follower.look()
    assert words(look) == ["shrunk"]
    assert "10 leaves were there, now 5" in look.objections[0].text
    assert look.cosigned is None


def test_a_checkpoint_that_never_changes_is_stale(
    site: PublicLog, follower: Follower
) -> None:
    site.read(1)
    site.publish()
    assert words(follower.look()) == []
    assert words(follower.look(after_s=3600)) == []
    assert words(follower.look(after_s=3601)) == ["stale"]
    site.publish()
    assert words(follower.look()) == [], "a log at rest says that it was looked at"


def test_an_export_that_is_away_is_not_a_fork(
    site: PublicLog, follower: Follower
) -> None:
    assert words(follower.look()) == ["unreachable"]
    site.read(300)
    site.publish()
    assert words(follower.look()) == []
    site.read(300)
    site.publish()
    withheld = site.folder / "tile/entries/001"
    data = withheld.read_bytes()
    withheld.unlink()
    assert words(follower.look()) == ["unreachable"]
    withheld.write_bytes(data[:-1])
    assert words(follower.look()) == ["unreachable"]
    withheld.write_bytes(data)
    assert words(follower.look()) == []


def test_a_changed_commitment_is_a_fork(site: PublicLog, follower: Follower) -> None:
    site.read(2)
    site.publish()
    entries = site.folder / "tile/entries/000.p/2"
    data = entries.read_bytes()
    entries.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert words(follower.look()) == ["fork"]


def test_another_signer_is_not_the_log(
    site: PublicLog, follower: Follower, tmp_path: Path
) -> None:
    site.read(1)
    site.publish()
    assert words(follower.look()) == []
    other = SigningKey.of(bytes(32), name="example.org/log", algorithm=Algorithm.NOTE)
    site.publish(other)
    assert words(follower.look()) == ["unsigned"], "as first seen"
    given = Follower(
        log=site,
        state=tmp_path / "given.json",
        settings=WitnessSettings(log_key=LOG_KEY.verifier),
    )
    assert words(given.look()) == ["unsigned"], "as published elsewhere"
    (site.folder / "checkpoint").write_bytes(b"no note")
    assert words(follower.look()) == ["nonsense"]


def test_a_status_that_is_not_what_it_says_is_noticed_and_not_forgotten(
    site: PublicLog, follower: Follower
) -> None:
    at = "2026-03-02T17:00:00Z"
    body: dict[str, object] = {
        "subject": "public",
        "occurred_at": at,
        "packed": "01" * 13,
        "status_sha256": "00" * 32,
        "status_count": 1,
    }
    site.status()
    site.leaf("status", "public", body)
    site.publish()
    look = follower.look()
    assert words(look) == ["bad-status"]
    assert look.checked == {"status": 2}
    site.read(1)
    site.publish()
    assert words(follower.look()) == ["bad-status"], "nobody has looked at it yet"
    assert follower.look().cosigned is None


def test_a_record_shown_otherwise_than_it_was_sealed_is_noticed(
    site: PublicLog, follower: Follower
) -> None:
    site.status()
    site.publish()
    assert rewrite(
        site.folder,
        files(site.folder, "disclosed"),
        b'\\"packed\\":\\"01',
        b'\\"packed\\":\\"02',
    )
    assert words(follower.look()) == ["bad-record"]
    piece = site.folder / files(site.folder, "disclosed")[0]
    found = json.loads(piece.read_bytes())
    found["leaves"][0]["index"] = "0"
    piece.write_text(json.dumps(found), encoding="utf-8")
    fresh = Follower(log=site, state=follower.state.with_name("fresh.json"))
    assert words(fresh.look()) == ["bad-record"]
    piece.write_bytes(b"[]")
    lost = Follower(log=site, state=follower.state.with_name("lost.json"))
    assert words(lost.look()) == ["unreachable"]


def plan_of(site: PublicLog) -> int:
    body: dict[str, object] = {
        "plan_id": "1",
        "cabinet_id": "A",
        "made_at": "2026-03-02T17:00:00Z",
        "algorithm_id": "wattproof-optimizer",
        "algorithm_version": "3",
        "inputs_sha256": "00" * 32,
        "outputs_sha256": "00" * 32,
        "certificate_sha256": None,
        "outcome": "optimal",
    }
    return site.leaf("plan", "A", body)


def test_a_plan_that_its_check_refuses_is_an_alarm(
    site: PublicLog, follower: Follower
) -> None:
    site.read(3)
    index = plan_of(site)
    head = log.head(site.store)
    leaf = site.store.leaf(index)
    assert leaf is not None
    text = leaf.record or b""
    bundle = {
        "format": "wattproof-plan/1",
        "currents": [1],
        "leaf": {"index": index, "record": text.decode()},
        "head": {"size": head.size, "root": head.root.hex()},
    }
    site.document = lambda leaf: bundle if leaf.kind == "plan" else None
    site.read(3)
    site.publish()

    def too_much(document: Mapping[str, object]) -> str | None:
        return None if document["currents"] == [1] else "above the limit"

    def look_anew(name: str) -> list[str]:
        anew = Follower(
            log=site,
            state=follower.state.with_name(name),
            checks=RecordChecks(check_plan=too_much),
        )
        return words(anew.look())

    assert look_anew("good") == []
    bundle["currents"] = [2]
    site.publish()
    assert look_anew("bad") == ["bad-plan"]
    bundle["currents"] = [1]
    bundle["head"] = {"size": head.size, "root": "11" * 32}
    site.publish()
    assert look_anew("head") == ["bad-plan"]
    bundle["leaf"] = {"index": index - 1, "record": text.decode()}
    site.publish()
    assert look_anew("leaf") == ["bad-plan"]


def test_a_state_that_was_changed_is_refused(
    site: PublicLog, follower: Follower
) -> None:
    site.read(3)
    site.publish()
    follower.look()
    state = json.loads(follower.state.read_text("utf-8"))
    changes: list[dict[str, object]] = [
        {"size": 4},
        {"root": "00" * 32},
        {"subtrees": []},
        {"format": "x"},
    ]
    for change in changes:
        follower.state.write_text(json.dumps(state | change), encoding="utf-8")
        with pytest.raises(NoteError):
            follower.look()
    follower.state.write_text("[]", encoding="utf-8")
    with pytest.raises(NoteError):
        follower.look()
