"""The page's server against those who are not its reviewer: strangers, other origins, tricks with paths and bodies."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recast.curate.errors import UsageError
from recast.curate.gate.gate import load_gate
from recast.curate.store.store import Store
from recast.pipelines.review.session import Session
from tests.fakes.review import EVIL, small

pytest.importorskip("fastapi", reason="FastAPI is not installed: pip install 'recast-sft[review]'")

from fastapi.testclient import TestClient

from recast.pipelines.review import server

TOKEN, PORT = "t0ken-" + "x" * 40, 8123
OWN = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return small(tmp_path_factory.mktemp("store") / "home", 6)


@pytest.fixture
def session(store: Store, request: pytest.FixtureRequest) -> Iterator[Session]:
    reviewer = re.sub(r"\W", "_", request.node.name)
    with Session(store, store.resolve("craft-rewrites"), reviewer=reviewer, gate=load_gate("math")) as made:
        yield made


@pytest.fixture
def client(session: Session) -> TestClient:
    return TestClient(server.app(session, TOKEN, PORT), base_url=OWN, raise_server_exceptions=False)


def decision(client: TestClient, place: int = 0) -> dict[str, Any]:
    row = client.get(f"/{TOKEN}/api/row/{place}").json()
    return {
        "id": f"event-{place:04d}", "kind": "decide", "row_id": row["row_id"], "target": 0, "seen": row["seen"],
        "action": "accept", "place": place,
    }  # fmt: skip


def test_the_page_and_its_calls_work(client: TestClient, session: Session) -> None:
    page = client.get(f"/{TOKEN}/")
    assert page.status_code == 200 and "craft-rewrites@v1" in page.text
    for address in re.findall(r'(?:src|href)="(assets/[^"]+)"', page.text):
        assert client.get(f"/{TOKEN}/{address}").status_code == 200, address
    assert "on" not in {name[:2] for name in re.findall(r"<[a-z]+[^>]* (on\w+)=", page.text)}
    facts = client.get(f"/{TOKEN}/api/facts").json()
    assert facts["open"] == 0 and facts["rows"] == 13
    done = client.post(f"/{TOKEN}/api/decide", json=decision(client)).json()
    assert done["open"] == 1 and done["counts"] == {"accept": 1}
    undone = client.post(f"/{TOKEN}/api/undo", json={"id": "undo-0001"}).json()
    assert undone["place"] == 0 and undone["counts"] == {}
    again = client.post(f"/{TOKEN}/api/undo", json={"id": "undo-0001"})
    assert again.json()["place"] == 0, "asked again after an answer that was lost"
    assert (
        client.post(f"/{TOKEN}/api/undo", json={"id": "undo-0002"}).json()["message"]
        == "nothing is left to undo."
    )


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/api/facts", {}),
        (f"/{TOKEN}", {}),
        (f"/{TOKEN[:-1]}/api/facts", {}),
        (f"/{TOKEN}x/api/facts", {}),
        (f"/{TOKEN.upper()}/api/facts", {}),
        (f"//{TOKEN}/api/facts", {}),
        (f"/%00{TOKEN}/api/facts", {}),
        (f"/{TOKEN}/api/facts", {"Host": "evil.example"}),
        (f"/{TOKEN}/api/facts", {"Host": f"127.0.0.1.evil.example:{PORT}"}),
        (f"/{TOKEN}/api/facts", {"Host": "127.0.0.1:1"}),
        (f"/{TOKEN}/api/facts", {"Origin": "http://evil.example"}),
        (f"/{TOKEN}/api/facts", {"Origin": "null"}),
        (f"/{TOKEN}/api/facts", {"Origin": "http://127.0.0.1:1"}),
        (f"/{TOKEN}/api/facts", {"Origin": f"https://127.0.0.1:{PORT}"}),
        (f"/{TOKEN}/api/facts", {"Sec-Fetch-Site": "cross-site"}),
        (f"/{TOKEN}/api/facts", {"Sec-Fetch-Site": "same-site"}),
    ],
)
def test_strangers_see_nothing(client: TestClient, path: str, headers: dict[str, str]) -> None:
    answer = client.get(path, headers=headers)
    assert answer.status_code in (403, 404) and answer.content == b""


@pytest.mark.parametrize(
    "name",
    [
        "../server.py", "..%2fserver.py", "%2e%2e/%2e%2e/pyproject.toml", "....//server.py", "/etc/passwd",
        "%2fetc%2fpasswd", "review.js/../../server.py", "review.js%00.css", "..\\server.py", "__init__.py", "", ".",
        "review.JS",
    ],
)  # fmt: skip
def test_no_path_reaches_a_file(client: TestClient, name: str) -> None:
    answer = client.get(f"/{TOKEN}/assets/{name}")
    assert answer.status_code in (404, 405)
    assert b"import" not in answer.content and b"root:" not in answer.content


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Origin": "http://evil.example", "Content-Type": "application/json"}, "{}", 403),
        ({"Origin": "null", "Content-Type": "application/json"}, "{}", 403),
        ({"Content-Type": "text/plain"}, "{}", 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "a=b", 415),
        ({"Content-Type": "application/json", "Content-Length": "x"}, "{}", 413),
        ({"Content-Type": "application/json"}, "x" * (server.MAX_BODY + 1), 413),
        ({"Content-Type": "application/json"}, "{", 422),
        ({"Content-Type": "application/json"}, "[]", 422),
        ({"Content-Type": "application/json"}, "{}", 400),
        (
            {"Content-Type": "application/json"},
            '{"id": "12345678", "kind": "decide", "row_id": {"$gt": ""}}',
            400,
        ),
        (
            {"Content-Type": "application/json"},
            '{"id": "12345678", "kind": "note", "row_id": "table", "note": "\\ud800"}',
            400,
        ),
    ],
)
def test_what_other_pages_and_broken_clients_send_writes_nothing(
    client: TestClient, session: Session, headers: dict[str, str], body: str, status: int
) -> None:
    before = session.log.path.read_bytes()
    assert client.post(f"/{TOKEN}/api/decide", content=body, headers=headers).status_code == status
    assert session.log.path.read_bytes() == before


def test_a_body_that_goes_on_is_cut_off(client: TestClient, session: Session) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * (1 << 20)

    answer = client.post(
        f"/{TOKEN}/api/decide", content=endless(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    assert len(session.log.path.read_text().splitlines()) == 1


def test_every_answer_forbids_what_the_page_does_not_need(client: TestClient) -> None:
    for path in (
        f"/{TOKEN}/",
        f"/{TOKEN}/api/facts",
        f"/{TOKEN}/assets/review.js",
        f"/{TOKEN}/nothing",
        "/nothing",
    ):
        headers = client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'", path
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert policy["require-trusted-types-for"] == "'script'" and policy["trusted-types"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer" and headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers and headers["cache-control"] == "no-store"


def test_methods_and_documents_that_nobody_asked_for_are_not_there(client: TestClient) -> None:
    for path in ("docs", "redoc", "openapi.json", "api/docs"):
        assert client.get(f"/{TOKEN}/{path}").status_code == 404
    assert client.options(f"/{TOKEN}/api/decide").status_code == 405
    assert client.get(f"/{TOKEN}/api/decide").status_code == 405
    assert client.delete(f"/{TOKEN}/api/row/0").status_code == 405


def test_rows_go_out_as_text_whatever_they_hold(client: TestClient) -> None:
    place = client.get(f"/{TOKEN}/api/find", params={"wanted": "evil"}).json()["place"]
    answer = client.get(f"/{TOKEN}/api/row/{place}")
    assert answer.headers["content-type"] == "application/json"
    assert EVIL in json.dumps(answer.json(), ensure_ascii=False).replace('\\"', '"')
    long = client.get(f"/{TOKEN}/api/find", params={"wanted": "long"}).json()["place"]
    for view in ("side", "inline", "raw"):
        answer = client.get(f"/{TOKEN}/api/row/{long}", params={"view": view})
        assert answer.status_code == 200 and len(answer.content) < 2_000_000
    assert len(client.get(f"/{TOKEN}/api/texts", params={"row": "long"}).json()["completion"]) > 900_000


def test_user_sql_of_the_filter_reads_rows_and_nothing_else(client: TestClient) -> None:
    for condition in (
        "1=1); DROP TABLE versions; --", "(SELECT count(*) FROM read_text('/etc/passwd')) > 0",
        "(SELECT count(*) FROM glob('/*')) > 0", "getenv('HOME') <> ''",
    ):  # fmt: skip
        answer = client.post(f"/{TOKEN}/api/filter", json={"wanted": f"sql: {condition}"})
        assert answer.status_code == 400 and answer.json()["error"] == "UsageError", condition
    assert client.post(f"/{TOKEN}/api/filter", json={"wanted": "sql: pass_rate < 1"}).status_code == 200


def test_an_edit_that_the_gate_refuses_is_told_apart(client: TestClient) -> None:
    place = client.get(f"/{TOKEN}/api/find", params={"wanted": "sum-000000"}).json()["place"]
    event = decision(client, place) | {"action": "edit", "text": "3 * 4 = 13. The answer is 9."}
    answer = client.post(f"/{TOKEN}/api/decide", json=event)
    assert answer.status_code == 409 and answer.json()["error"] == "NeedsNote"
    answer = client.post(f"/{TOKEN}/api/decide", json=event | {"note": "on purpose"})
    assert answer.status_code == 200 and answer.json()["standing"]["action"] == "edit"


def test_the_address_is_the_owners_and_stays(tmp_path: Path) -> None:
    bound, token = server.address(tmp_path / "r", "ann", None)
    port = bound.getsockname()[1]
    assert bound.getsockname()[0] == "127.0.0.1" and len(token) >= 40
    (file,) = (tmp_path / "r").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    other, same = server.address(tmp_path / "r", "ann", None)
    assert same == token and other.getsockname()[1] != port, "that port is taken"
    with pytest.raises(UsageError, match=f"port {port} is taken"):
        server.address(tmp_path / "r", "ann", port)
    bound.close()
    other.close()
