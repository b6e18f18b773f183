"""Signed notes: a text, a blank line, and one line for each who signs it.

The form is that of transparency logs (C2SP ``signed-note`` and ``tlog-cosignature``),
so that their tools read it. A line is ``— name base64(key id || signature)``. The log
itself signs the text with Ed25519; a witness signs the text with a time in front, which
says when it last saw that all was well.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from typing_extensions import override

from ledger.errors import NoteError

MAX_NOTE_BYTES: Final = 65_536
MAX_SIGNATURES: Final = 64
KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_DASH: Final = "\N{EM DASH} "


class Algorithm(IntEnum):
    """What a signature is over, as the key's text says."""

    NOTE = 1
    COSIGNATURE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key with its name; `text` is how it is written down.

    Attributes:
        name: Whose it is; for a log, its origin. No spaces, no ``+``.
        public: 32 bytes.
    """

    name: str
    algorithm: Algorithm
    public: bytes

    def __post_init__(self) -> None:
        if not self.name or "+" in self.name or self.name.split() != [self.name]:
            raise NoteError(f"not a name for a key: {self.name!r}")
        if len(self.public) != KEY_BYTES:
            raise NoteError(f"a key of {len(self.public)} bytes, must be {KEY_BYTES}")

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        data = f"{self.name}\n".encode() + bytes([self.algorithm]) + self.public
        return hashlib.sha256(data).digest()[:_ID_BYTES]

    @property
    def text(self) -> str:
        """``name+key id+base64(algorithm || key)``."""
        shown = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{shown}"

    @staticmethod
    def parse(text: str) -> VerifierKey:
        """Read `text` back.

        Raises:
            NoteError: It is not such a key.
        """
        name, _, rest = text.strip().partition("+")
        shown_id, _, shown = rest.partition("+")
        data = _decoded(shown)
        try:
            algorithm = Algorithm(data[0] if data else 0)
        except ValueError:
            raise NoteError("a key of an unknown algorithm") from None
        key = VerifierKey(name=name, algorithm=algorithm, public=data[1:])
        if key.key_id.hex() != shown_id:
            raise NoteError(f"the key of {name!r} does not have the id {shown_id!r}")
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One line below a note.

    Attributes:
        name: Who signs, as claimed.
        key_id: Of the key, as claimed.
        data: What follows the id.
    """

    name: str
    key_id: bytes
    data: bytes

    @property
    def line(self) -> str:
        """The line, without its end."""
        shown = base64.b64encode(self.key_id + self.data).decode()
        return f"{_DASH}{self.name} {shown}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text with signatures that are not checked yet.

    Attributes:
        text: What is signed; ends with a line feed.
    """

    text: str
    signatures: tuple[Signature, ...]

    @override
    def __str__(self) -> str:
        """The note as it travels."""
        lines = "".join(f"{one.line}\n" for one in self.signatures)
        return f"{self.text}\n{lines}"

    def is_signed_by(self, key: VerifierKey) -> bool:
        """Whether the key has signed this text, whatever else stands below it."""
        return any(
            _holds(key, self.text, one)
            for one in self.signatures
            if (one.name, one.key_id) == (key.name, key.key_id)
        )

    def seen_at(self, key: VerifierKey) -> int | None:
        """When a witness signed last, in Unix seconds; ``None``: it has not."""
        times = [
            int.from_bytes(one.data[:_TIME_BYTES], "big")
            for one in self.signatures
            if (one.name, one.key_id) == (key.name, key.key_id)
            and _holds(key, self.text, one)
        ]
        return max(times, default=None)


def parse_note(data: bytes) -> Note:
    """Read a note.

    Raises:
        NoteError: It is not one; the reason is fit for a log line.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise NoteError(f"a note of more than {MAX_NOTE_BYTES} bytes")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise NoteError("a note that is not UTF-8") from None
    text, blank, below = whole.rpartition("\n\n")
    lines = below.split("\n")
    if not blank or not text or lines[-1] or len(lines) < 2:  # noqa: PLR2004 - one line and the end
        raise NoteError("not a signed note")
    if any(char < " " and char != "\n" for char in whole):
        raise NoteError("a note with control characters")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"a note with more than {MAX_SIGNATURES} signatures")
    signatures = tuple(parse_signature(line) for line in lines[:-1])
    return Note(text=f"{text}\n", signatures=signatures)


def parse_signature(line: str) -> Signature:
    """Read one line below a note.

    Raises:
        NoteError: It is not one.
    """
    name, space, shown = line.removeprefix(_DASH).partition(" ")
    data = _decoded(shown)
    if not (line.startswith(_DASH) and space and name) or len(data) <= _ID_BYTES:
        raise NoteError("not a signature of a note")
    return Signature(name=name, key_id=data[:_ID_BYTES], data=data[_ID_BYTES:])


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with its name."""

    verifier: VerifierKey
    _private: Ed25519PrivateKey

    @staticmethod
    def of(secret: bytes, *, name: str | None, algorithm: Algorithm) -> SigningKey:
        """Make the key of 32 secret bytes.

        Args:
            secret: The private key.
            name: Whose it is; ``None``: a name that follows from the key.
            algorithm: What it signs.

        Raises:
            NoteError: The name cannot be one, or the secret is not 32 bytes long.
        """
        if len(secret) != KEY_BYTES:
            raise NoteError(f"a key of {len(secret)} bytes, must be {KEY_BYTES}")
        private = Ed25519PrivateKey.from_private_bytes(secret)
        public = private.public_key().public_bytes_raw()
        if name is None:
            what = "log" if algorithm is Algorithm.NOTE else "witness"
            name = f"wattproof/{what}/{hashlib.sha256(public).hexdigest()[:16]}"
        return SigningKey(
            VerifierKey(name=name, algorithm=algorithm, public=public), private
        )

    @staticmethod
    def load(path: Path, *, name: str | None, algorithm: Algorithm) -> SigningKey:
        """Read a key of 64 hex digits from a file; make it where there is none.

        Raises:
            NoteError: It is not one, or others than its owner may read it.
            OSError: It cannot be read or made.
        """
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(path, flags, 0o600), "w", encoding="ascii") as file:
                file.write(secrets.token_hex(KEY_BYTES) + "\n")
        if path.stat().st_mode & 0o077:
            raise NoteError(f"{path} can be read by others: chmod 600")
        try:
            secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except ValueError:
            raise NoteError(f"{path} does not hold 64 hex digits") from None
        return SigningKey.of(secret, name=name, algorithm=algorithm)

    def sign(self, text: str) -> Signature:
        """Sign a text as its author."""
        return self._signature(self._private.sign(text.encode()))

    def cosign(self, text: str, unix_s: int) -> Signature:
        """Say as a witness that the text was found good at that time."""
        signed = self._private.sign(_cosigned(text, unix_s))
        return self._signature(unix_s.to_bytes(_TIME_BYTES, "big") + signed)

    def _signature(self, data: bytes) -> Signature:
        key = self.verifier
        return Signature(name=key.name, key_id=key.key_id, data=data)


def signed(text: str, signatures: Sequence[Signature]) -> str:
    """Write a note."""
    return str(Note(text=text, signatures=tuple(signatures)))


def _holds(key: VerifierKey, text: str, one: Signature) -> bool:
    data, message = one.data, text.encode()
    if key.algorithm is Algorithm.COSIGNATURE:
        if len(data) != _TIME_BYTES + _SIGNATURE_BYTES:
            return False
        at = int.from_bytes(data[:_TIME_BYTES], "big")
        message, data = _cosigned(text, at), data[_TIME_BYTES:]
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(data, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _cosigned(text: str, unix_s: int) -> bytes:
    return f"cosignature/v1\ntime {unix_s}\n{text}".encode()


def _decoded(shown: str) -> bytes:
    try:
        return base64.b64decode(shown, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("not base64") from None
