"""The accounts database: opens it, migrates it, and commits transactions."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from meterboard.errors import DataFolderError

if sys.platform != "win32":  # which has no such locks
    import fcntl

FILE = "accounts.sqlite"
MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = max(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))
"""The revision that this version needs: that of the last file in `migrations/versions`."""


class Database:
    """Accounts in SQLite. Several processes may use it at once: the server and commands."""

    def __init__(self, folder: Path) -> None:
        """Opens and migrates the database. Raises: DataFolderError: the file can't be opened, written or migrated."""
        self._uri = (folder / FILE).absolute().as_uri()
        self._plain: sqlite3.Connection | None = None
        self._engine = create_engine(URL.create("sqlite", database=str(folder / FILE)))
        event.listen(self._engine, "connect", _prepare)
        try:
            with _alone(folder):
                _migrate(self._engine)
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).split("\n", 1)[0]
            raise DataFolderError(f"{folder / FILE} can't be used: {reason}.") from error

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Opens a session, which is committed at the end of the block, or rolled back by an error."""
        with Session(self._engine) as session, session.begin():
            yield session

    def has_row(self, query: str, *parameters: str) -> bool:
        """
        Returns whether a query finds anything: in microseconds with an index, and without waiting for a writer.

        Called in one thread. A failed look-up costs no more than this, since any client may cause it often.
        """
        try:
            if self._plain is None:
                self._plain = sqlite3.connect(
                    f"{self._uri}?mode=ro", uri=True, timeout=0, check_same_thread=False
                )
            return self._plain.execute(query, parameters).fetchone() is not None
        except sqlite3.OperationalError:  # locked for a moment: the usual session waits
            return True

    def close(self) -> None:
        if self._plain is not None:
            self._plain.close()
        self._engine.dispose()


def _prepare(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]  # the driver's own connection
    # WAL lets the command line write while the server reads; NORMAL would lose the last key on a power cut.
    for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = on", "busy_timeout = 5000"):
        cursor.execute(f"pragma {pragma}")
    cursor.close()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lets one process at a time migrate the database."""
    if sys.platform == "win32":
        yield
        return
    with (folder / ".migrating").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection:
        if (
            inspect(connection).has_table("alembic_version")
            and connection.scalar(text("select version_num from alembic_version")) == NEWEST
        ):
            return
        _upgrade(connection)
        connection.commit()


def _upgrade(connection: Connection) -> None:
    # Loaded only when needed: it takes a tenth of the memory of an idle server.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, NEWEST)
