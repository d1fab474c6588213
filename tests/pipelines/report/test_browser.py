"""The report as a person meets it: opened from disk in headless Chromium, with no network to reach.

Skipped where playwright or Chromium is absent. The picture in the README is taken by `test_screenshot`:
`RECAST_REPORT_PAGE=report.html RECAST_REPORT_SCREENSHOT=report.png pytest -k test_screenshot`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from recast.pipelines.report import build
from recast.pipelines.report.data import (
    Arm,
    Fate,
    ReportData,
    Sample,
    SampleCandidate,
    SampleCheck,
    SampleCut,
    Stage,
)
from recast.pipelines.report.page import SECTIONS
from tests.fakes.report_example import example

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install playwright"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
EVIL = '</script><img src=x onerror="window.hit=1"><script>window.hit=2</script><svg onload=window.hit=3>'


@dataclass
class Opened:
    """A page and all that it complained about or asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, tmp_path):
    pages = []

    def open_report(data: ReportData, **context: Any) -> Opened:
        out = build(data, tmp_path / "report.html")
        page = browser.new_context(
            viewport={"width": 1280, "height": 800}, offline=True, **context
        ).new_page()
        pages.append(page)
        seen = Opened(page)
        page.on(
            "console", lambda m: seen.complaints.append(m.text) if m.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("request", lambda request: seen.requests.append(request.url))
        page.goto(out.as_uri())
        return seen

    yield open_report
    for page in pages:
        page.context.close()


def test_opens_from_disk_without_a_complaint_or_a_request(opened):
    seen = opened(example())
    assert seen.page.locator("section").count() == 7
    assert seen.complaints == []
    assert len(seen.requests) == 1 and seen.requests[0].startswith("file:")


def test_keyboard_walks_searches_and_switches_the_diff(opened):
    page = opened(example()).page
    count, view = page.locator("#row-count"), page.locator("#row-view")
    assert count.inner_text() == "1 of 40"
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert count.inner_text() == "2 of 40"
    assert view.locator(".pane").count() == 2
    page.keyboard.press("s")
    assert view.locator(".pane").count() == 1
    assert view.locator("del").count() and view.locator("ins").count()
    page.keyboard.press("/")
    page.keyboard.type("fallback jk")  # letters go to the search box now
    assert count.inner_text() == "0 samples"
    page.locator("#row-search").fill("fallback")
    assert count.inner_text() == "1 of 4"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert count.inner_text() == "2 of 4"
    assert "rejected" in view.inner_text()


def test_diff_panes_show_both_texts_whole(opened):
    data = example()
    page = opened(data).page
    panes = page.locator("#row-view .pane .text")
    assert panes.nth(0).text_content() == data.samples[0].before
    assert panes.nth(1).text_content() == data.samples[0].after


def test_what_was_cut_from_a_candidate_is_shown_with_it(opened):
    cut = SampleCut("Sure!\n", "\n\nRewrite it.", ("opening", "request"))
    kept = SampleCandidate("It is 7.", "accepted", chosen=True, cut=cut)
    other = SampleCandidate("It is 8.", "rejected", "wrong_answer", cut=replace(cut, before=""))
    sample = Sample("r", "7", "It is 7.", "rewrite", candidates=(kept, other))
    page = opened(replace(example(), samples=(sample,))).page
    boxes = page.locator("#row-view details.cut")
    assert boxes.count() == 2
    said = boxes.nth(0).text_content()
    assert "Cut from the sample before the gate: opening, request" in said
    assert "Sure!" in said and "Rewrite it." in said
    assert boxes.nth(1).locator("pre").count() == 1, "nothing stood before it"


def test_hovering_shows_the_value(opened):
    page = opened(example()).page
    page.locator(".plane .role-target .mark").hover()
    assert "98.9" in page.locator("#tip").inner_text()
    page.locator(".plane .role-reference").focus()
    assert "62.2" in page.locator("#tip").inner_text()


def test_hostile_text_is_inert_wherever_it_stands(opened):
    sample = Sample(
        row_id=EVIL, before=EVIL, after=EVIL + "!", decision="rewrite", prompt=((EVIL, EVIL),), task=EVIL,
        answer=EVIL, reason=EVIL, checks=(SampleCheck(EVIL, EVIL, EVIL, EVIL),),
        candidates=(SampleCandidate(EVIL, EVIL, EVIL, cut=SampleCut(EVIL, EVIL, (EVIL,))),),
        nll_before=1.0, nll_after=0.5,
    )  # fmt: skip
    evil_arms = tuple(
        Arm(a.key + EVIL, EVIL, a.role, a.downstream, a.general, a.forgetting, suites={EVIL: 50.0})
        for a in example().arms
    )
    data = replace(
        example(), title=EVIL, subtitle=EVIL, samples=(sample,), facts=((EVIL, EVIL),), warnings=(EVIL,),
        stages=(Stage(EVIL, 1.0, EVIL),), fates=(Fate(EVIL, EVIL, 3, EVIL), Fate("fallback", EVIL, 2)),
        arms=evil_arms,
    )  # fmt: skip
    seen = opened(data)
    for _ in range(2):
        seen.page.keyboard.press("s")
    seen.page.locator("#row-view .others > summary").click()
    seen.page.locator(".plane .role-target .mark").hover()
    assert seen.page.evaluate("window.hit") is None
    assert seen.page.locator("img").count() == 0
    assert seen.complaints == []  # the policy had nothing to refuse: escaping alone holds
    assert seen.page.locator("#row-view .text").first.text_content() == EVIL


def test_the_policy_refuses_script_even_if_escaping_failed(opened):
    seen = opened(example())
    seen.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.hit=1>')")
    seen.page.wait_for_timeout(100)
    assert seen.page.evaluate("window.hit") is None


def test_dark_and_light_follow_the_system_and_the_button(opened):
    page = opened(example(), color_scheme="dark").page

    def paper() -> int:
        return page.evaluate("parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")

    assert paper() < 60
    page.locator("#theme").click()
    assert paper() > 200


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_page_never_scrolls_sideways(opened, width):
    page = opened(example()).page
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_empty_report_opens_too(opened):
    seen = opened(ReportData())
    assert seen.complaints == []
    assert seen.page.locator(".absent").count() == len(SECTIONS)


def test_screenshot(opened, tmp_path):
    seen = opened(example(), color_scheme="light", device_scale_factor=2)
    page = seen.page
    if report := os.environ.get("RECAST_REPORT_PAGE"):
        page.goto(Path(report).resolve().as_uri())
    out = Path(os.environ.get("RECAST_REPORT_SCREENSHOT") or tmp_path / "report.png")
    out.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=out)
    assert out.read_bytes().startswith(b"\x89PNG") and out.stat().st_size > 50_000
