"""What a witness makes of documents: late, invented, missing, or false."""

import argparse
import json
import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.bundle import build_receipt
from ledger.errors import NoteError
from ledger.sqlite_store import DDL, erase_leaf
from ledger.witness_cli import add_command
from ledger.witness_run import run
from ledger.witness_state import StateFile
from tests.support import signed_receipt
from tests.support.public_log import Follower, PublicLog, files, public_log, words

SHOWN = frozenset({"settlement"})


@pytest.fixture
def site(tmp_path: Path) -> PublicLog:
    return public_log(tmp_path / "export", kinds=SHOWN)


@pytest.fixture
def follower(site: PublicLog, tmp_path: Path) -> Follower:
    return Follower(log=site, state=tmp_path / "state.json")


@pytest.fixture
def receipt(
    site: PublicLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The honest receipt of a session that is sealed in the log."""

    def opened() -> sqlite3.Connection:
        return sqlite3.connect(tmp_path / "log.db", isolation_level=None)

    site.conn = opened()
    site.conn.executescript(DDL)
    monkeypatch.setattr(signed_receipt, "open_database", opened)
    return signed_receipt.Forge().receipt()


def show(site: PublicLog, document: Mapping[str, object] | None) -> None:
    site.document = lambda leaf: document if leaf.kind == "settlement" else None
    site.publish()


def test_an_honest_receipt_is_checked_and_a_false_one_is_an_alarm(
    site: PublicLog, follower: Follower, receipt: dict[str, Any], tmp_path: Path
) -> None:
    show(site, receipt)
    look = follower.look()
    assert (words(look), look.checked["settlement"]) == ([], 1)
    assert (look.withheld, look.waiting) == ({}, 0)
    other_bill = json.loads(json.dumps(receipt))
    other_bill["bill"]["energy_wh"] = 1
    other_leaf = json.loads(json.dumps(receipt))
    other_leaf["leaves"][-1]["kind"] = "meter"
    for number, false in enumerate((other_bill, other_leaf, {"format": "none"}, [])):
        show(site, false)
        fresh = Follower(log=site, state=tmp_path / f"{number}.json")
        look = fresh.look()
        assert words(look) == ["bad-settlement"], number
        assert look.cosigned is None
        assert words(fresh.look()) == ["bad-settlement"], "it is not forgotten"


def shorter(site: PublicLog, folder: Path, size: int) -> PublicLog:
    """The same log, as it was at a size."""
    short = public_log(folder, at=site.at, kinds=SHOWN)
    for row in site.conn.execute("SELECT * FROM leaf WHERE leaf_index < ?", (size,)):
        short.conn.execute("INSERT INTO leaf VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return short


@pytest.fixture
def late(
    site: PublicLog, follower: Follower, receipt: dict[str, Any], tmp_path: Path
) -> PublicLog:
    """A log shown shorter than the head of its receipt; the witness looked at it."""
    size = receipt["head"]["size"]
    site.read(3)
    newer = build_receipt(
        site.store,
        session_id="s-1",
        bill=receipt["bill"],
        tariff=receipt["tariff"],
        chain=None,
    )
    follower.log = shorter(site, tmp_path / "short", size)
    show(follower.log, newer)
    for _ in range(2):
        look = follower.look()
        assert (words(look), look.waiting) == ([], 1)
        assert "settlement" not in look.checked, "not before its head was seen"
    site.document = follower.log.document
    return follower.log


def test_a_receipt_under_a_later_head_waits_until_the_log_shows_it(
    site: PublicLog, follower: Follower, late: PublicLog
) -> None:
    site.at = late.at
    site.publish()
    follower.log = site
    look = follower.look()
    assert (words(look), look.waiting, look.checked) == (
        [],
        0,
        {"settlement": 1},
    )
    assert look.cosigned is not None


def test_a_log_that_grew_past_an_invented_head_is_an_alarm(
    follower: Follower, late: PublicLog
) -> None:
    late.read(2)
    late.publish()
    assert follower.look().waiting == 1, "one leaf short of it"
    late.read(2)
    late.publish()
    look = follower.look()
    assert (words(look), look.waiting) == (["bad-settlement"], 0)
    assert "that this log never had" in look.objections[0].text
    assert (look.cosigned, look.checked) == (None, {})


def test_a_head_that_the_log_never_comes_to_is_an_alarm(
    follower: Follower, late: PublicLog
) -> None:
    late.at += timedelta(seconds=2000)
    late.publish()
    assert words(follower.look()) == []
    late.at += timedelta(seconds=2000)
    late.publish()
    look = follower.look()
    assert (words(look), look.waiting) == (["bad-settlement"], 0)
    assert "never came to it" in look.objections[0].text


def test_a_state_of_an_earlier_version_has_nothing_that_waits(
    follower: Follower, late: PublicLog
) -> None:
    assert late.folder.is_dir()
    state = json.loads(follower.state.read_text("utf-8"))
    (kept,) = StateFile(follower.state).load().waiting
    assert (kept.kind, kept.alarm) == ("settlement", "bad-settlement")
    del state["waiting"]
    follower.state.write_text(json.dumps(state), encoding="utf-8")
    assert StateFile(follower.state).load().waiting == ()
    follower.state.write_text(json.dumps(state | {"waiting": [{}]}), encoding="utf-8")
    with pytest.raises(NoteError):
        follower.look()


def test_a_document_that_is_not_shown_is_withheld_and_not_checked(
    site: PublicLog, follower: Follower, receipt: dict[str, Any], tmp_path: Path
) -> None:
    show(site, None)
    look = follower.look()
    assert (words(look), look.withheld) == (["withheld"], {"settlement": 1})
    assert (look.checked, look.cosigned) == ({}, None)
    assert words(follower.look()) == ["withheld"], "it is not forgotten"
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers())
    state = str(tmp_path / "other.json")
    arguments = ["witness", str(site.folder), "--state", state, "--once"]
    lines: list[str] = []
    assert run(parser.parse_args(arguments), emit=lines.append) == 1
    told = json.loads(lines[-1])
    assert (told["withheld"], told["waiting"]) == ({"settlement": 1}, 0)
    assert "withheld" in {one["alarm"] for one in told["alarms"]}
    # What is erased has neither salt nor record: it cannot be shown, nor be missed.
    index = next(i["index"] for i in receipt["leaves"] if i["kind"] == "settlement")
    erase_leaf(site.conn, index)
    site.publish()
    look = Follower(log=site, state=tmp_path / "erased.json").look()
    assert (words(look), look.withheld, look.checked) == ([], {}, {})
    assert look.erased == {"settlement": 1}, "its place is told: no damage"
    assert look.cosigned is not None


def pieces_of(site: PublicLog) -> Path:
    (piece,) = files(site.folder, "disclosed")
    return site.folder / piece


def test_only_who_may_see_a_kind_is_told_what_of_it_was_erased(
    site: PublicLog, receipt: dict[str, Any]
) -> None:
    places = {leaf["kind"]: leaf["index"] for leaf in receipt["leaves"]}
    for index in places.values():
        erase_leaf(site.conn, index)
    show(site, None)
    told = json.loads(pieces_of(site).read_bytes())["erased"]
    assert told == [{"index": places["settlement"], "kind": "settlement"}]
    site.kinds = frozenset({"status", "asset"})
    site.publish()
    assert json.loads(pieces_of(site).read_bytes())["erased"] == []


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"index": None, "kind": "settlement"}, "no kind or at no place"),
        ({"index": 0, "kind": "gossip"}, "no kind or at no place"),
        ({"index": 256, "kind": "plan"}, "elsewhere"),
        ({"kind": "plan"}, "that is none"),
        ([], "that is none"),
        ("shown", "is shown, and said to be erased"),
    ],
)
def test_a_false_word_of_what_was_erased_is_an_alarm(
    site: PublicLog,
    follower: Follower,
    receipt: dict[str, Any],
    entry: object,
    says: str,
) -> None:
    show(site, receipt)
    index = next(i["index"] for i in receipt["leaves"] if i["kind"] == "settlement")
    if entry == "shown":
        entry = {"index": index, "kind": "settlement"}
    path = pieces_of(site)
    found = json.loads(path.read_bytes())
    path.write_text(json.dumps(found | {"erased": [entry]}), encoding="utf-8")
    look = follower.look()
    assert (words(look), look.cosigned, look.erased) == (["bad-record"], None, {})
    assert says in look.objections[0].text
    del found["erased"]
    path.write_text(json.dumps(found), encoding="utf-8")
    anew = Follower(log=site, state=follower.state.with_name("earlier.json"))
    assert words(anew.look()) == [], "logs of earlier versions say nothing of it"
