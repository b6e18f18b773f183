"""Signed notes and checkpoints, in the form that other tools read."""

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle
from ledger.checkpoint import Checkpoint, TilePath, read_entries, write_entries
from ledger.errors import NoteError
from ledger.note import Algorithm, SigningKey, VerifierKey, parse_note, signed

SECRET = bytes(range(32))
LOG = SigningKey.of(SECRET, name="example.org/log", algorithm=Algorithm.NOTE)
WITNESS = SigningKey.of(SECRET, name="w.example", algorithm=Algorithm.COSIGNATURE)
CHECKPOINT = Checkpoint(
    origin="example.org/log", size=7, root=bytes(32), more=("at 2026-03-02T17:00:00Z",)
)


def test_a_checkpoint_is_written_as_the_form_says() -> None:
    text = CHECKPOINT.text
    assert text == (
        "example.org/log\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
        "at 2026-03-02T17:00:00Z\n"
    )
    note = signed(text, (LOG.sign(text),))
    head, _, line = note.rpartition("\n\n")
    assert head + "\n" == text
    dash, name, shown = line.removesuffix("\n").split(" ")
    assert (dash, name) == ("\u2014", "example.org/log")
    data = base64.b64decode(shown)
    public = LOG.verifier.public
    assert data[:4] == hashlib.sha256(b"example.org/log\n\x01" + public).digest()[:4]
    Ed25519PublicKey.from_public_bytes(public).verify(data[4:], text.encode())


def test_a_cosignature_has_its_time_in_front() -> None:
    line = WITNESS.cosign(CHECKPOINT.text, 1_770_000_000)
    assert line.data[:8] == (1_770_000_000).to_bytes(8, "big")
    message = f"cosignature/v1\ntime 1770000000\n{CHECKPOINT.text}".encode()
    public = Ed25519PublicKey.from_public_bytes(WITNESS.verifier.public)
    public.verify(line.data[8:], message)
    note = parse_note(
        signed(CHECKPOINT.text, (LOG.sign(CHECKPOINT.text), line)).encode()
    )
    assert note.is_signed_by(LOG.verifier)
    assert note.seen_at(WITNESS.verifier) == 1_770_000_000
    assert Checkpoint.parse(note.text) == CHECKPOINT


def test_a_key_survives_being_written_down() -> None:
    for key in (LOG, WITNESS):
        assert VerifierKey.parse(f"{key.verifier.text}\n") == key.verifier


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000+AQ==",
        LOG.verifier.text.replace("example", "elsewhere"),
        LOG.verifier.text[:-4] + "!!!!",
        f"two words{LOG.verifier.text.removeprefix('example.org/log')}",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.parse(text)


def test_another_text_another_key_or_another_time_is_not_signed() -> None:
    text = CHECKPOINT.text
    other = SigningKey.of(bytes(32), name="example.org/log", algorithm=Algorithm.NOTE)
    note = signed(text, (LOG.sign(text), WITNESS.cosign(text, 5)))
    assert not parse_note(note.encode()).is_signed_by(other.verifier)
    changed = parse_note(note.replace("\n7\n", "\n8\n").encode())
    assert not changed.is_signed_by(LOG.verifier)
    assert changed.seen_at(WITNESS.verifier) is None
    unsigned = parse_note(signed(text, (other.sign(text),)).encode())
    assert not unsigned.is_signed_by(LOG.verifier)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_note_or_refused(data: bytes) -> None:
    try:
        note = parse_note(data)
    except NoteError:
        return
    assert str(note).encode() == data


@pytest.mark.parametrize(
    "text",
    [
        "a\n1\n",
        "a\n01\nAAAA\n",
        "a\n-1\n" + "A" * 43 + "=\n",
        "a\n1\nAAAA\n",
        "a\n99999999999999999\n" + "A" * 43 + "=\n",
        "a\n1\n" + "A" * 43 + "=\n\nmore\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


@given(
    level=st.sampled_from([*range(8), "entries", "disclosed"]),
    index=st.integers(0, 2**40),
    width=st.integers(1, 256),
)
def test_paths_of_tiles_are_read_back(level: int | str, index: int, width: int) -> None:
    path = TilePath(level=level, index=index, width=width)
    if path.first_leaf > 2**53:
        with pytest.raises(NoteError):
            TilePath.parse(path.path)
    else:
        assert TilePath.parse(path.path) == path


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (TilePath(level=0, index=0), "tile/0/000"),
        (TilePath(level=1, index=1234, width=5), "tile/1/x001/234.p/5"),
        (TilePath(level="entries", index=1234067), "tile/entries/x001/x234/067"),
        (TilePath(level="disclosed", index=7, width=255), "disclosed/007.p/255"),
    ],
)
def test_paths_of_tiles_are_those_of_the_form(tile: TilePath, path: str) -> None:
    assert tile.path == path


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/0/x000/001",
        "tile/8/000",
        "tile/0/1",
        "tile/0/../key",
        "disclosed/000/000",
        "tile/0/\u0660\u0660\u0660",
        f"tile/0/{'x001/' * 40}001",
        "",
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(NoteError):
        TilePath.parse(path)


def test_entries_are_commitments_with_their_length() -> None:
    commitments = [bytes([one]) * merkle.HASH_BYTES for one in range(3)]
    data = write_entries(commitments)
    assert data[:3] == b"\x00\x20\x00"
    assert read_entries(data, 3) == commitments
    for bad in (data[:-1], b"\x00\x21" + data[2:], data + data):
        with pytest.raises(NoteError):
            read_entries(bad, 3)


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "log.key"
    made = SigningKey.load(path, name=None, algorithm=Algorithm.NOTE)
    again = SigningKey.load(path, name=None, algorithm=Algorithm.NOTE)
    assert made.verifier == again.verifier
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(NoteError, match="chmod 600"):
        SigningKey.load(path, name=None, algorithm=Algorithm.NOTE)
