"""Where the database of a workspace is: the file in its folder, or what HDTUI_DATABASE_URL names.

The address of a server holds passwords in many places; ``shown`` holds none of them.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from engine.errors import DatabaseError

FILE_NAME = "hdtui.db"
URL_VARIABLE = "HDTUI_DATABASE_URL"
_SECRET = re.compile("pass|pwd|secret|token|key", re.IGNORECASE)
_POSTGRESQL_FORM = "postgresql://USER@HOST/NAME"
_SQLITE_FORM = f"sqlite:////FOLDER/{FILE_NAME}"


@dataclass(frozen=True)
class Address:
    """The address of one database."""

    url: URL

    @property
    def file(self) -> Path | None:
        """The SQLite file; None where a server keeps the database."""
        return Path(self.url.database or "") if self.url.drivername.startswith("sqlite") else None

    @property
    def shown(self) -> str:
        """What messages call it: a file, or a server's host, port and database and nothing else."""
        if self.file is not None:
            return str(self.file)
        host = self._known("host") or ""
        port = f":{self._known('port')}" if self._known("port") else ""
        return f"postgresql://{host}{port}/{self._known('dbname') or ''}"

    def without_secrets(self, words: str) -> str:
        """What the server's driver said, without any password of this address."""
        secrets = [] if self.url.password is None else [str(self.url.password)]
        for name, value in self.url.query.items():
            if _SECRET.search(name):
                secrets += [value] if isinstance(value, str) else list(value)
        for secret in filter(None, secrets):
            for spelling in {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}:
                words = words.replace(spelling, "***")
        return words

    def _known(self, name: str) -> object:
        parts = {"host": self.url.host, "port": self.url.port, "dbname": self.url.database}
        return parts[name] or self.url.query.get(name)


def database_address(home: Path) -> Address:
    """The address of a workspace's database.

    Raises:
        DatabaseError: HDTUI_DATABASE_URL is no address of a database; its text is not repeated.
    """
    text = os.environ.get(URL_VARIABLE)
    if not text:
        return Address(URL.create("sqlite", database=str(home / FILE_NAME)))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        reason = (
            "the port is no number"
            if isinstance(error, ValueError)
            else f"it is no address; write {_POSTGRESQL_FORM} or {_SQLITE_FORM}"
        )
        raise _unusable(reason) from None  # the cause repeats what may be a password
    backend = url.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return Address(_server(url, text))
    if backend == "sqlite":
        return Address(_file(url, text))
    raise _unusable(f"only PostgreSQL ({_POSTGRESQL_FORM}) and SQLite ({_SQLITE_FORM}) are known")


def _server(url: URL, text: str) -> URL:
    # Either way a part of the password would be taken for the host, and shown.
    if "@" in (url.host or "") or "?" in text.rpartition("@")[0]:
        raise _unusable("a password holds an @ or a ?; write %40 and %3F for them")
    if url.drivername in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    return url


def _file(url: URL, text: str) -> URL:
    if not url.database:
        raise _unusable(f"it names no file; write {_SQLITE_FORM}")
    if "?" in text or url.host:
        raise _unusable("a file has no host and nothing behind a ?; write %3F for one in a name")
    if not Path(url.database).is_absolute():
        # Workers stand in other folders: there the same words would name other files.
        raise _unusable(f"it names no whole path; write {_SQLITE_FORM}")
    return url.set(drivername="sqlite")


def _unusable(reason: str) -> DatabaseError:
    return DatabaseError(f"{URL_VARIABLE} cannot be used: {reason}.")
