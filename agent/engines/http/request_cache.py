"""Answers of a server, kept in SQLite by what was asked: nothing that was paid for is asked twice.

The key is a digest of address, path and payload (model, token ids, sampling, seed), and of an adapter's identity
where one answers: an agent that is learnt anew is served under its old name. Headers are no part of it, so no key of
an API ever comes near the file. A server that serves another backbone under the same name and address is not
noticed; remove the file then.
"""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from pathlib import Path
from typing import Any

from recast.curate.errors import IntegrityError
from recast.curate.fingerprint import fingerprint

BUSY_S = 30.0
"""How long to wait for another process that writes."""


class RequestCache:
    """One file. To be used from one thread at a time; several processes may share it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(
                "PRAGMA synchronous = NORMAL"
            )  # a power cut may cost the last answers, not the file
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer BLOB NOT NULL, at REAL NOT NULL)"
            )
        except sqlite3.DatabaseError as error:
            raise IntegrityError(
                f"{path} is no request cache ({error}). Remove it: it only saves asking again."
            ) from error

    @staticmethod
    def key(address: str, path: str, payload: Any, answerer: str | None = None) -> str:
        """Identity of a request; `answerer` is that of what answers, where the payload does not tell it."""
        return fingerprint(
            [address, path, payload] if answerer is None else [address, path, payload, answerer]
        )

    def get(self, key: str) -> Any:
        """The answer kept for `key`, or None."""
        row = self._db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(zlib.decompress(row[0]))

    def put(self, key: str, answer: Any) -> None:
        """Keep `answer`; on the disk before this returns, but for a power cut."""
        blob = zlib.compress(json.dumps(answer, separators=(",", ":")).encode(), level=1)
        self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, blob, time.time()))

    def __len__(self) -> int:
        return self._db.execute("SELECT count(*) FROM answers").fetchone()[0]

    def close(self) -> None:
        self._db.close()
