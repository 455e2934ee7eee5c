"""A file that lines were imported from, as it is recorded so that it is recognised later."""

from msgspec import Struct


class ImportFile(Struct, frozen=True):
    """
    A log file and what was read of it. `meterboard.importers.log_identity` says how it is recognised.

    `number` is that of the record. `key` becomes part of the ids of the file's lines; several files have the same one when
    they are the same log, and `is_part` when a file is only its beginning. `place` is device and inode; None: another file has taken it.
    `length` bytes, decompressed, were read at most, and `digest` is theirs; `beginnings` are the digests of the first
    64, 128, ... bytes. `modified` is when the file had last been written to then, in nanoseconds since 1970 UTC.
    """

    key: str
    path: str
    place: str | None
    length: int
    digest: bytes
    beginnings: bytes
    modified: int
    is_part: bool = False
    number: int | None = None
