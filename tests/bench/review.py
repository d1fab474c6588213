"""How fast a review is with a full queue: `python -m tests.bench.review --rows 100000`.

Prints, in real Chromium with the server as a process of its own: the start of the command (queue built), the first page
(from the address to the row on the screen; median of 5 new tabs), and from the key `a` to the next row on the screen
(medians and the worst of 100), all in the browser's own clock, with the bounds of 1 s and 50 ms; exit code 1 beyond.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from recast.curate.store.store import Store
from tests.conftest import ROOT
from tests.fakes.review import many

FIRST_S, NEXT_MS = 1.0, 50.0
DECIDED, TABS = 100, 5
TIMED = """
async (times) => {
  const row = document.getElementById("row");
  const taken = [];
  for (let n = 0; n < times; n += 1) {
    const was = row.dataset.place;
    const begun = performance.now();
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "a", bubbles: true }));
    await new Promise((next) => {
      const seen = new MutationObserver(() => {
        if (row.dataset.place === was) return;
        seen.disconnect();
        requestAnimationFrame(() => setTimeout(next, 0)); // painted
      });
      seen.observe(row, { attributes: true });
    });
    taken.push(performance.now() - begun);
    await new Promise((wake) => setTimeout(wake, 200)); // nobody decides faster than that
  }
  return taken;
}
"""


def main() -> int:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queue", choices=("risk", "active", "random"), default="risk")
    parser.add_argument("--store", type=Path, help="Folder of a store that holds `many` already.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        store = Store(asked.store or Path(made) / "home")
        if "many" not in store.names():
            many(store, asked.rows)
        begun = time.perf_counter()
        server, url = served(store.root, asked.queue)
        print(
            f"start, {store.resolve('many').rows:,} rows, queue {asked.queue}: {time.perf_counter() - begun:.2f} s"
        )
        try:
            with sync_playwright() as playwright:
                chromium = shutil.which("chromium") or shutil.which("google-chrome")
                flags = ["--no-sandbox", "--disable-gpu"]
                browser = playwright.chromium.launch(executable_path=chromium, args=flags)
                return measured(browser, url)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait()


def measured(browser: Any, url: str) -> int:
    firsts: list[float] = []
    page: Any = None
    for _ in range(TABS + 1):
        page = browser.new_context(viewport={"width": 1360, "height": 900}).new_page()
        page.goto(url)
        page.wait_for_selector("#row[data-place]")
        firsts.append(page.evaluate("() => performance.getEntriesByName('row')[0].startTime") / 1000)
    page.wait_for_timeout(500)
    own = firsts.pop(0)  # of a browser that has just begun itself
    taken = sorted(page.evaluate(TIMED, DECIDED))
    first, middle = statistics.median(firsts), statistics.median(taken)
    spread = f"of {min(firsts):.2f} to {max(firsts):.2f}, {own:.2f} in a browser that just began"
    print(f"first page: {first:.2f} s ({spread})  bound {FIRST_S:g} s")
    tail = f"95 % {taken[int(0.95 * len(taken))]:.0f} ms, worst {taken[-1]:.0f} ms"
    print(f"decision to next row: {middle:.0f} ms (median of {len(taken)}; {tail})  bound {NEXT_MS:g} ms")
    return int(first > FIRST_S or middle > NEXT_MS)


def served(root: Path, queue: str) -> tuple[subprocess.Popen[str], str]:
    command = [
        sys.executable,
        "-m",
        "recast.pipelines.cli",
        "review",
        "many",
        "--gate",
        "math",
        "--queue",
        queue,
    ]
    server = subprocess.Popen(
        [*command, "--store", str(root), "--reviewer", f"bench-{os.getpid()}"],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"http://\S+", line):
            return server, found[0]
    raise SystemExit("the review did not start")


if __name__ == "__main__":
    sys.exit(main())
