"""An export sent to a hub: one commit with the files that the dry run listed, and no shard of an earlier one left."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from recast.curate.errors import UsageError
from recast.curate.export import push
from recast.curate.export.export import export
from recast.curate.store.store import Store
from tests.fakes.exports import kinds_of_rows, sums


class Hub:
    """A hub of one data set, which keeps what commits bring: the part of its HTTP that huggingface_hub asks for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"data/notes.txt": b"mine"}
        self.commits: list[str] = []
        self.created: list[dict[str, Any]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert self.path.startswith("/api/datasets/me/rows/tree/main"), self.path
                listed = [
                    {"type": "file", "path": p, "size": len(d), "oid": "0"} for p, d in hub.files.items()
                ]
                self._answer(listed)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._answer(hub.asked(self.path, body))

            def _answer(self, value: Any) -> None:
                data = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def asked(self, path: str, body: str) -> Any:
        if path == "/api/repos/create":
            self.created.append(json.loads(body))
            return {"url": f"{self.address}/datasets/me/rows"}
        if path.endswith("/validate-yaml"):
            return {"errors": [], "warnings": []}
        if path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            return {
                "files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]
            }
        assert path == "/api/datasets/me/rows/commit/main", path
        for line in body.splitlines():
            said = json.loads(line)
            if said["key"] == "header":
                self.commits.append(said["value"]["summary"])
            elif said["key"] == "file":
                self.files[said["value"]["path"]] = base64.b64decode(said["value"]["content"])
            else:
                assert said["key"] == "deletedFile"
                del self.files[said["value"]["path"]]
        return {"commitUrl": f"{self.address}/datasets/me/rows/commit/1", "commitOid": "1", "hookOutput": ""}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    yield hub
    hub.server.shutdown()


def test_a_commit_brings_what_the_dry_run_listed_and_nothing_older_stays(hub: Hub, tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    store.commit([*sums(9), *kinds_of_rows()], "a")
    done = export(store, "a", "hf", tmp_path / "out", shard_rows=4)
    assert done.refused_rows == 1, "the picture: its name stays here"
    listed = push.planned(done)
    assert push.push(done, "me/rows").endswith("/datasets/me/rows/commit/1")
    assert hub.created == [
        {"name": "rows", "organization": "me", "type": "dataset", "visibility": "private"}
    ] or (hub.created[0]["private"] is True)
    sent = {path: data for path, data in hub.files.items() if path != "data/notes.txt"}
    assert {path: (len(data), hashlib.sha256(data).hexdigest()) for path, data in sent.items()} == {
        file["path"]: (file["bytes"], file["sha256"]) for file in listed
    }
    assert sorted(sent) == ["README.md", *(f"data/train-{n:05d}.parquet" for n in range(4))]

    store.commit(sums(5), "a")
    done = export(store, "a", "hf", tmp_path / "out", shard_rows=4)
    push.push(done, "me/rows")
    assert sorted(hub.files) == [
        "README.md",
        "data/notes.txt",
        "data/train-00000.parquet",
        "data/train-00001.parquet",
    ]
    assert hub.commits == [f"a@v{n} ({store.resolve(f'a@v{n}').id[:16]})" for n in (1, 2)]


def test_a_name_without_a_user_is_refused(hub: Hub, tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    store.commit(sums(1), "a")
    with pytest.raises(UsageError, match="--push takes USER/NAME"):
        push.push(export(store, "a", "hf", tmp_path / "out"), "rows")
    assert hub.created == [] and hub.commits == []
