"""The HTML page of a diff: what it holds as a file, and what a person can do with it in headless Chromium."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recast.curate.history.diff import diff
from recast.curate.store.store import Store
from recast.pipelines.report import diff_page
from tests.conftest import Said

ROWS = Path(__file__).parent / "diff_rows"
EVIL = '</script><img src=x onerror="window.hit=1"><script>window.hit=2</script>'


def row(name: str, completion: str, **more: Any) -> dict[str, Any]:
    prompt = [{"role": "user", "content": f"Question of {name}?"}]
    return {"row_id": name, "messages": prompt, "completion": completion, "demonstration": "expert"} | more


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "home")
    store.commit(
        [
            row("style", r"\[ x = 12 + 7 = 19 \] \boxed{19}", nll_completion=1.2),
            row("wrong", "3 + 4 = 7. The answer is 7."),
            row("bold", "It is **4**."),
            row("gone", "no more"),
            row("evil", "plain"),
        ],
        "craft",
    )
    store.commit(
        [
            row(
                "style",
                "12 + 7 = 19. The answer is 19.",
                nll_completion=0.3,
                decision="rewrite",
                agent_id="ag",
            ),
            row("wrong", "3 + 4 = 8. The answer is 8.", decision="rewrite"),
            row("bold", "It is 4."),
            row("new", "came"),
            row("evil", EVIL),
        ],
        "craft-rewrites",
        parent="craft",
    )
    return store


@pytest.fixture
def page(store: Store, tmp_path: Path) -> Path:
    return diff_page.write(diff(store, "craft", "craft-rewrites"), tmp_path / "diff.html")


def test_the_page_is_whole_and_fetches_nothing(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert "craft@v1 → craft-rewrites@v1" in html
    assert "The final answer differs in 1 row." in html
    assert EVIL not in html
    assert not re.findall(r"(?:src|href)=\"(?!#)", html)
    assert "default-src 'none'" in html
    found = re.search(r'id="row-data">(.*?)</script>', html)
    assert found
    rows = {r["id"]: r for r in json.loads(found[1])}
    assert {name: r["edit"] for name, r in rows.items()} == {
        "style": "words", "wrong": "answer", "bold": "format", "gone": "removed", "new": "added", "evil": "words",
    }  # fmt: skip
    assert "".join(text for op, text in rows["evil"]["diff"] if op >= 0) == EVIL
    assert rows["wrong"]["answers"] == ["7", "8"]
    assert [c[0] for c in rows["style"]["columns"]] == ["agent_id"]


def test_rows_can_be_chosen_and_equal_versions_say_so(store: Store) -> None:
    chosen = diff_page.render(diff(store, "craft", "craft-rewrites"), where="after.decision = 'rewrite'")
    assert "2 of 6 rows that differ, where after.decision" in chosen
    assert "Nothing differs." in diff_page.render(diff(store, "craft", "craft"))


# in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield launched
        launched.close()


@pytest.fixture
def opened(browser: Any, page: Path) -> Iterator[Any]:
    tab = browser.new_page(viewport={"width": 1280, "height": 1000})
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.goto(page.as_uri())
    yield tab
    assert complaints == []
    assert tab.evaluate("window.hit") is None
    tab.close()


def test_a_reader_walks_searches_and_filters(opened: Any) -> None:
    view, count = opened.locator("#row-view"), opened.locator("#row-count")
    assert count.inner_text() == "1 of 6"
    assert opened.locator("#row-view del").first.inner_text() != ""
    assert opened.locator(".panes .pane").count() == 2
    opened.keyboard.press("s")
    assert opened.locator(".panes .pane").count() == 1
    opened.keyboard.press("j")
    assert count.inner_text() == "2 of 6"
    assert "The final answer changed: 7 → 8" in view.inner_text()
    opened.keyboard.press("k")
    assert count.inner_text() == "1 of 6"
    opened.keyboard.press("/")
    opened.keyboard.type("bold")
    assert count.inner_text() == "1 of 1"
    assert "Only the format changed." in view.inner_text()
    opened.get_by_text("show it").click()
    assert opened.locator("#row-view del").count() > 0
    opened.locator("#row-search").fill("nothing has this")
    assert "No row matches." in view.inner_text()
    opened.locator("#row-search").fill("")
    opened.locator("#row-filters button", has_text="final answer 1").click()
    assert count.inner_text() == "1 of 1"


def test_markup_in_rows_stays_text(opened: Any) -> None:
    opened.locator("#row-search").fill("onerror")
    assert EVIL in opened.locator("#row-view").inner_text()


def test_the_page_of_a_real_diff_is_read_from_end_to_end(
    browser: Any, tmp_path: Path, recast: Callable[..., Said]
) -> None:
    """30 rows of the pocket world and what the pocket backbone made of them, as `recast export` wrote them.

    RECAST_DIFF_SCREENSHOT=diff.png keeps the picture for the README.
    """
    for name in ("craft", "craft-rewrites"):
        assert recast("import", ROWS / f"{name}.jsonl", "--as", name).code == 0
    said = recast("diff", "craft", "craft-rewrites", "--html", "diff.html", "-n", "100", "--json")
    assert (said.json["summary"]["changed"], said.json["html"]) == (30, "diff.html")
    tab = browser.new_page(viewport={"width": 1240, "height": 900})
    tab.goto((tmp_path / "diff.html").as_uri())
    body = tab.locator("body").inner_text()
    assert "craft@v1 → craft-rewrites@v1" in body and "expert → rewrite" in body
    assert tab.locator("#row-list li").count() == 30
    asked = []
    for place in range(30):
        assert tab.locator("#row-count").inner_text() == f"{place + 1} of 30"
        asked.append(tab.locator("#row-view code").inner_text())
        tab.keyboard.press("j")
    assert asked == [f"craft-{n:05d}" for n in range(106, 136)]
    tab.locator("#row-search").fill("fallback")
    assert tab.locator("#row-list li").count() == 2
    tab.locator("#row-search").fill("")
    target = Path(os.environ.get("RECAST_DIFF_SCREENSHOT") or tmp_path / "diff.png")
    tab.evaluate("document.activeElement.blur()")
    tab.screenshot(path=str(target))
    assert target.stat().st_size > 10_000
    tab.close()


def test_decisions_made_on_the_page_become_a_version(
    opened: Any, store: Store, tmp_path: Path, recast: Callable[..., Said]
) -> None:
    def on(row_id: str) -> None:
        opened.locator("#row-search").fill(row_id)
        opened.keyboard.press("Escape")
        opened.locator("#row-view").click()

    on("style")
    opened.keyboard.press("a")
    on("wrong")
    opened.keyboard.press("2")
    opened.keyboard.press("f")
    on("bold")
    opened.keyboard.press("e")
    opened.locator(".decide .edit").fill("It is four.")
    opened.get_by_text("keep the edit").click()
    on("evil")
    opened.keyboard.press("x")
    opened.keyboard.press("u")
    on("gone")
    assert opened.locator(".decide").count() == 0, "a row that went is nothing to decide about"
    opened.reload()
    on("bold")
    assert "edited by" in opened.locator(".decide").inner_text(), "kept by the browser"
    opened.keyboard.press("n")
    opened.keyboard.type("words are fine")
    opened.get_by_label("Who decides").fill("eve")
    with opened.expect_download() as download:
        opened.get_by_text("save 3 decisions").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == "craft-rewrites-v1.decisions.jsonl"
    said = recast(
        "review", "craft-rewrites", "--commit", "--decisions", file, "--store", store.root, "--json"
    )
    assert said.code == 0 and said.json["counts"] == {"accepted": 1, "expert": 1, "edited": 1}
    version = store.resolve("craft-rewrites")
    assert version.author == "eve" and version.number == 2
    rows = {row["row_id"]: row for row in store.open(version).rows()}
    assert (
        rows["bold"]["completion"] == "It is four."
        and rows["bold"]["meta"]["review"]["note"] == "words are fine"
    )
    assert rows["wrong"]["completion"] == "expert" and rows["wrong"]["reason"] == "wrong_step"
