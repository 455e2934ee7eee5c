"""
The errors that the server and its commands raise for people and programs to read.

    MeterboardError
    ├── SettingError              a setting is wrong: the start is refused
    ├── ScheduleError             a credit schedule can't be read
    ├── DataFolderError           the data folder is in use, not writable, full or damaged
    ├── AddressError              a host has no address, or a port can't be listened on
    ├── ServerRefused             the running server refuses what a command asks
    ├── FileError                 a file outside the data folder can't be opened, or is damaged
    ├── Refused                   the caller asked for something that can't be done as asked
    │   ├── UnreadableBody        the body is not a usage event in any accepted format
    │   ├── InvalidParameter      a query parameter or argument has a wrong value
    │   ├── AnswerTooLong         the answer has more text than one may have
    │   ├── TooLarge              more bytes or events than one request may carry
    │   ├── TooSlow               the body took too long to arrive
    │   ├── NotFound              no such organisation, schedule or page
    │   ├── AlreadyExists         the name is taken
    │   ├── Unauthenticated       no key, a wrong key, or a session that has ended
    │   └── Forbidden             the key or person may not do this
    └── Unavailable               try again later
        ├── ServerAway            the running server doesn't respond to a command, or is busy
        ├── Overloaded            the queue is full
        └── StoreFailed           the write failed: none of the events was stored
            └── OutcomeUnknown    the disk failed during a commit: the events may or may not have been stored

A message says what happened, with which value, and what to do. Users see it unchanged.
`meterboard.http.status` has the HTTP status of each. Exceptions that stay within one package are defined there, and so
are those of `meterboard.client`, which imports nothing of the server.
"""


class MeterboardError(Exception):
    """The base class of all errors that Meterboard raises deliberately."""


class SettingError(MeterboardError):
    """A setting has a wrong name or value."""


class ScheduleError(MeterboardError):
    """A credit schedule can't be read. `row` is the path to the error: keys, and indexes of lists from 0."""

    def __init__(self, message: str, *, row: tuple[str | int, ...] | None = None) -> None:
        super().__init__(message)
        self.row = row


class DataFolderError(MeterboardError):
    """The data folder can't be used: held by another server, not writable, full or damaged."""


class AddressError(MeterboardError):
    """A host has no address on this machine, or its port is taken or may not be used."""


class ServerRefused(MeterboardError):
    """The server that holds the data folder refuses what a command asks of it."""


class FileError(MeterboardError):
    """A file that a command was given, or a built-in one, can't be opened or read to its end."""


class Refused(MeterboardError):
    """The request can't be fulfilled. Repeating it unchanged won't help."""


class UnreadableBody(Refused):
    """The request's body is not a usage event in any accepted form."""


class InvalidParameter(Refused):
    """A parameter has a value that is not accepted."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class AnswerTooLong(Refused):
    """The answer to a question has more text than one answer may have."""


class TooLarge(Refused):
    """More bytes or events than one request may carry."""


class TooSlow(Refused):
    """The body of the request did not arrive fast enough."""


class NotFound(Refused):
    """An organisation, schedule, page or other object doesn't exist."""


class AlreadyExists(Refused):
    """The name is taken."""


class Unauthenticated(Refused):
    """There is no key or session, or it is not known."""


class Forbidden(Refused):
    """The key or person may not do this."""


class Unavailable(MeterboardError):
    """The request can't be fulfilled now. It may succeed after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ServerAway(Unavailable):
    """The server doesn't respond to a command, or is busy. Events sent to it may have been stored."""


class Overloaded(Unavailable):
    """Too many requests or events are waiting already."""


class StoreFailed(Unavailable):
    """The write failed; none of the events was stored."""


class OutcomeUnknown(StoreFailed):
    """The store failed during a commit and can't be opened again yet: the events may or may not have been stored."""
