"""The report as a file: what it says, what it leaves out, and that row text can do nothing in it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from pipelines.report import ReportData, build
from pipelines.report.page import render
from tests.pipelines.report_example import example


class Tags(HTMLParser):
    """The elements and attributes that a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.append(name)
        self.attributes += attributes


def test_an_empty_run_names_the_verb_that_fills_each_section():
    page = render(ReportData())
    for verb in ("recast eval", "recast rewrite", "recast learn", "recast run"):
        assert verb in page
    assert "<section" not in page


def test_a_page_refers_to_nothing_outside_itself():
    page = render(example())
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert "url(http" not in page and "@import" not in page
    assert "default-src 'none'" in page


def test_the_same_records_give_the_same_bytes(tmp_path):
    assert build(example(), tmp_path / "a.html").read_bytes() == build(example(), tmp_path).read_bytes()


def test_samples_are_data_that_cannot_close_their_element():
    page = render(example())
    body = page.split('id="samples-data">')[1].split("</script>")[0]
    assert "<" not in body
    assert len(json.loads(body)) == 40
