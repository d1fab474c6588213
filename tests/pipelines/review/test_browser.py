"""The review as a person does it: real keys in headless Chromium, while the server is killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from recast.curate.store.store import Store
from recast.pipelines.review.decisions import Review
from recast.pipelines.review.log import log_path, read
from tests.conftest import ROOT
from tests.fakes.review import BIDI, EVIL, small, sums, with_candidates

pytest.importorskip("fastapi", reason="FastAPI is not installed: pip install 'recast-sft[review]'")
sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install playwright"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium"),
    pytest.mark.slow,
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@dataclass
class Served:
    """A `recast review` as a process of its own, which may be killed and started again."""

    store: Store
    options: tuple[str, ...] = ()
    process: Any = None
    url: str = ""

    def start(self) -> str:
        command = [
            sys.executable,
            "-m",
            "recast.pipelines.cli",
            "review",
            "craft-rewrites",
            "--gate",
            "math",
            "--reviewer",
            "ann",
        ]
        self.process = subprocess.Popen(
            [*command, "--store", str(self.store.root), *self.options],
            env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=self.store.root, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for line in self.process.stderr:
            if found := re.search(r"http://\S+", line):
                self.url = found[0]
                return self.url
        raise AssertionError("the review did not start")

    def kill(self, number: int = signal.SIGKILL) -> int:
        self.process.send_signal(number)
        self.process.communicate()
        return self.process.returncode

    def decided(self) -> Review:
        return read(log_path(self.store, self.store.resolve("craft-rewrites"), "ann"))


@dataclass
class Tab:
    """A page, what it complained about, and what it asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def at(self) -> str:
        return self.page.locator("#row").get_attribute("data-row")

    def wait_for(self, row_id: str) -> None:
        self.page.wait_for_selector(f'#row[data-row="{row_id}"]')


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def serving() -> Iterator[Any]:
    made: list[Served] = []

    def serve(store: Store, *options: str) -> Served:
        made.append(Served(store, options))
        made[-1].start()
        return made[-1]

    yield serve
    for each in made:
        if each.process.poll() is None:
            each.kill()


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    contexts = []

    def open_(url: str, **context: Any) -> Tab:
        made = browser.new_context(**({"viewport": {"width": 1360, "height": 900}} | context))
        contexts.append(made)
        tab = Tab(made.new_page())
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.on(
            "console", lambda m: tab.complaints.append(m.text) if m.type in ("error", "warning") else None
        )
        tab.page.on("request", lambda request: tab.requests.append(request.url))
        tab.page.goto(url)
        tab.page.wait_for_selector("#row[data-place]")
        return tab

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A row of every kind and four sums, for tests that decide nothing."""
    return small(tmp_path_factory.mktemp("kinds") / "home", 4)


@pytest.mark.parametrize("queue", ["risk", "active"])
def test_rows_of_every_kind_show_and_nothing_that_they_hold_runs(
    kinds: Store, serving: Any, opened: Any, queue: str
) -> None:
    tab = opened(serving(kinds, "--queue", queue).url)
    texts = {}
    for row_id in ("latex", "table", "code", "tools", "evil", "bidi", "long"):
        for view in ("", "s", "s", "r", "r"):
            tab.press("g") if not view else tab.press(view)
            if not view:
                tab.page.keyboard.type(f"{row_id}\n")
                tab.wait_for(row_id)
                texts[row_id] = tab.page.locator("#row").inner_text()
        tab.press("c", "h")
        tab.page.wait_for_selector("#history")
        tab.press("c", "h")
    assert "<script>window.hit=2</script>" in texts["evil"] and "U+202E" in texts["bidi"]
    assert tab.page.locator("#row img, #row script, #row svg, #row a, #row style, #row iframe").count() == 0
    assert tab.page.evaluate("window.hit") is None
    assert tab.page.evaluate("document.querySelectorAll('script').length") == 2
    origin = tab.page.evaluate("location.origin")
    asked = [url for url in tab.requests if not url.startswith("data:")]
    assert asked and all(url.startswith(f"{origin}/") for url in asked)
    assert tab.complaints == []
    assert EVIL and BIDI


def test_scripts_that_come_into_the_page_do_not_run(kinds: Store, serving: Any, opened: Any) -> None:
    """What the policy holds back even where a text had become an element."""
    tab = opened(serving(kinds).url)
    for attempt in (
        "document.body.innerHTML = '<img src=x onerror=\"window.hit=1\">'",
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.hit=2'}))",
        "document.body.setAttribute('onclick', 'window.hit=3'), document.body.click()",
        "fetch('http://127.0.0.1:1/').catch(() => {})",
    ):
        tab.page.evaluate(f"() => {{ try {{ {attempt} }} catch {{ }} }}")
    tab.page.wait_for_timeout(100)
    assert tab.page.evaluate("window.hit") is None
    assert len(tab.complaints) >= 4, "the browser tells of each"


def drive(tab: Tab, served: Served, row_ids: list[str], kills: set[int]) -> dict[str, str]:
    """Decide about every row by keys; at the places of `kills` the server dies just after the key, and comes again."""
    wanted: dict[str, str] = {}
    for number in range(len(row_ids)):
        row_id = tab.at()
        key, action = [("a", "accept"), ("a", "accept"), ("f", "expert"), ("x", "suspect"), ("d", "defer")][
            number % 5
        ]
        if key == "f":
            tab.press("2")
        wanted[row_id] = action
        tab.press(key)
        if number in kills:
            served.kill()
            served.start()
        tab.page.wait_for_function("was => document.getElementById('row').dataset.row !== was", arg=row_id)
    return wanted


def rewriting(path: Path, num: int) -> tuple[Store, list[str]]:
    store = Store(path)
    rows = list(sums(num))
    with_candidates(store, rows)
    return store, [row["row_id"] for row in rows]


def test_fifty_rows_by_keys_with_the_server_killed(tmp_path: Path, serving: Any, opened: Any) -> None:
    check_fifty(tmp_path, serving, opened, {7, 22, 41})


def test_an_answer_that_was_cut_short_is_asked_for_again(tmp_path: Path, serving: Any, opened: Any) -> None:
    store, row_ids = rewriting(tmp_path / "home", 2)
    served = serving(store)
    tab = opened(served.url)
    cut: list[str] = []

    def cutting(route: Any) -> None:
        if len(cut) < 2:  # the decision is on disk, and its answer does not come whole
            route.fetch()
            cut.append(route.request.post_data)
            route.fulfill(status=200, content_type="application/json", body='{"standing": {"act')
        else:
            route.continue_()

    tab.page.route("**/api/decide", cutting)
    first = tab.at()
    tab.press("a")
    tab.wait_for(next(row_id for row_id in row_ids if row_id != first))
    assert cut[0] == cut[1], "the same event"
    found = served.decided()
    assert found.standing((first, 0)).action == "accept" and found.counts() == {"accept": 1}
    assert tab.complaints == []


@pytest.mark.torture
def test_fifty_rows_by_keys_with_the_server_killed_ten_times(
    tmp_path: Path, serving: Any, opened: Any
) -> None:
    check_fifty(tmp_path, serving, opened, {1, 3, 8, 13, 20, 21, 22, 34, 45, 48})


def check_fifty(tmp_path: Path, serving: Any, opened: Any, kills: set[int]) -> None:
    store, row_ids = rewriting(tmp_path / "home", 50)
    served = serving(store)
    tab = opened(served.url)
    wanted = drive(tab, served, row_ids, kills)
    assert sorted(wanted) == row_ids, "each row came up once"
    assert "All of it is decided." in tab.page.locator("#row").inner_text()
    found = served.decided()
    assert {row.row_id: row.action for row in found.rows.values()} == wanted
    lines = log_path(store, store.resolve("craft-rewrites"), "ann").read_text().splitlines()
    assert sum('"kind": "decide"' in line for line in lines) == 50, "none twice"
    assert all(row.reasons == ("wrong_step",) for row in found.rows.values() if row.action == "expert")
    assert served.kill(signal.SIGINT) == 0
    assert not [text for text in tab.complaints if "net::ERR" not in text]


def test_a_row_from_the_first_look_to_the_edit(tmp_path: Path, serving: Any, opened: Any) -> None:
    store, _ = rewriting(tmp_path / "home", 8)
    served = serving(store, "--where", "row_id IN ('sum-000003', 'sum-000004')")
    tab = opened(served.url)
    page = tab.page
    tab.wait_for("sum-000003")
    assert "6 * 7 = 44" in "".join(page.locator("#row .check-mark").all_text_contents()), (
        "the check's words stand at their place"
    )
    tab.press("e")
    page.wait_for_selector("#editor")
    page.locator("#editor").fill("")
    page.keyboard.type("6 boxes hold 6 * 7 = 43 pens.")
    page.wait_for_selector(".gate .verdict.rejected")
    # what was typed so far is judged, too, and may bear other marks before
    marked = page.locator(".preview .check-mark")
    marked.filter(has_text="43").first.wait_for()
    assert "6 * 7 = 43" in "".join(marked.all_text_contents())
    tab.press("Control+Enter")
    page.wait_for_selector(".complaint")
    assert "A note (n) that says why" in page.locator(".complaint").inner_text()
    assert page.evaluate("document.activeElement.id") == "note"
    served.kill()
    served.start()
    page.reload()
    tab.wait_for("sum-000003")
    tab.press("e")
    page.wait_for_selector("#editor")
    assert page.locator("#editor").input_value() == "6 boxes hold 6 * 7 = 43 pens.", "typed, and not lost"
    page.locator("#editor").fill(
        "6 boxes of 7 pens are 6 * 7 = 42 pens. Less 6 this is 42 - 6 = 36. The answer is 36."
    )
    page.wait_for_selector(".gate .verdict.accepted")
    tab.press("Control+Enter")
    tab.wait_for("sum-000004")
    tab.press("n")
    page.keyboard.type("reads well")
    tab.press("Enter", "5", "a")
    page.wait_for_selector(".finished")
    tab.press("u")
    tab.wait_for("sum-000004")
    assert page.locator("#note").input_value() == "reads well"
    assert page.locator('[data-reason="unclear"]').get_attribute("aria-pressed") == "true"
    found = served.decided()
    assert found.standing(("sum-000003", 0)).text.endswith("The answer is 36.")
    assert (found.standing(("sum-000004", 0)).action, found.standing(("sum-000004", 0)).note) == (
        None,
        "reads well",
    )
    assert tab.complaints == [text for text in tab.complaints if "409" in text or "net::ERR" in text]


def test_an_edit_may_begin_with_another_candidate(tmp_path: Path, serving: Any, opened: Any) -> None:
    store, _ = rewriting(tmp_path / "home", 2)
    served = serving(store)
    tab = opened(served.url)
    page = tab.page
    row_id = tab.at()
    page.wait_for_selector("#history")
    tab.press("c")
    page.get_by_role("button", name="Edit from this").click()
    page.wait_for_selector("#editor")
    taken = page.locator("#editor").input_value()
    assert taken.startswith("It is ") and taken == page.locator(".candidate .prose").inner_text()
    page.wait_for_selector(".gate .verdict.rejected")
    assert served.decided().standing((row_id, 0)).draft == taken, "on disk before anything is decided"
    assert "Gate math, as edited" in page.locator("#side").inner_text()


def test_an_active_queue_says_what_it_knows_and_ends(tmp_path: Path, serving: Any, opened: Any) -> None:
    store, _ = rewriting(tmp_path / "home", 40)
    tab = opened(serving(store, "--queue", "active", "--below", "0.4").url)
    page = tab.page
    for _ in range(40):
        row_id = tab.at()
        tab.press("f" if int(row_id[-6:]) % 7 == 3 else "a")
        page.wait_for_function("was => document.getElementById('row').dataset.row !== was", arg=row_id)
        if page.locator(".finished").count():
            break
        assert "refused, about" in page.locator("#rate").inner_text()
    assert "95 % sure: " in page.locator(".finished h1").inner_text()
    assert int(page.locator("#count").inner_text().split()[0]) < 40, "it ended before all were seen"
    tab.press("j")
    page.wait_for_selector("#row[data-place]")
    assert tab.complaints == []


def test_going_about_with_keys(kinds: Store, serving: Any, opened: Any) -> None:
    tab = opened(serving(kinds).url)
    page = tab.page
    first = tab.at()
    tab.press("j")
    page.wait_for_function("was => document.getElementById('row').dataset.row !== was", arg=first)
    tab.press("k")
    tab.wait_for(first)
    tab.press("/")
    page.keyboard.type("positive\n")
    tab.wait_for("code")
    tab.press("/")
    page.keyboard.type("is:eaten\n")
    page.wait_for_selector(".complaint")
    tab.press("Escape", "/")
    page.locator("#filter-bar input").fill("")
    tab.press("Enter")
    page.wait_for_function("() => document.querySelector('.place span').textContent.includes('11')")
    tab.press("?")
    assert page.locator("#help").is_visible()
    tab.press("a", "Escape")
    assert not page.locator("#help").is_visible()
    page.wait_for_timeout(100)
    assert page.locator("#count").inner_text() == "0 of 11", "keys do nothing behind the help"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1360, 640])  # half the width is what 200 % of zoom leave
def test_everybody_can_use_it(kinds: Store, serving: Any, opened: Any, scheme: str, width: int) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
    )
    tab = opened(
        serving(kinds, "--queue", "active").url,
        color_scheme=scheme,
        viewport={"width": width, "height": 700},
        bypass_csp=True,
    )
    page = tab.page
    for row_id in ("sum-000003", "latex", "tools", "bidi"):
        tab.press("g")
        page.keyboard.type(f"{row_id}\n")
        tab.wait_for(row_id)
        page.wait_for_selector("#history")
        tab.press("c")
        if row_id == "latex":
            tab.press("e")
            page.wait_for_selector("#editor")
        found = [
            f"{v['id']}: {[node['target'] for node in v['nodes']][:4]}"
            for v in axe.Axe().run(page).response["violations"]
            if v["impact"] in ("serious", "critical")
        ]
        assert found == [], row_id
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            "nothing runs out at the side"
        )
        if row_id == "latex":
            tab.press("Escape")
            page.wait_for_selector("#editor", state="detached")
        tab.press("c")
    tab.press("?")
    page.wait_for_selector("#help[open]")
    found = [
        v["id"] for v in axe.Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")
    ]
    assert found == []
    tab.press("Escape")
    # every control has a name, and Tab reaches the decisions
    # (innerText is empty of what is folded away)
    names = page.evaluate(
        "[...document.querySelectorAll('button')].map((b) => b.textContent.trim() || b.ariaLabel)"
    )
    assert all(names)
    reached = set()
    for _ in range(60):
        tab.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.do ?? document.activeElement.id"))
    assert {"accept", "expert", "edit", "suspect", "defer", "undo", "note", "reason"} <= reached
