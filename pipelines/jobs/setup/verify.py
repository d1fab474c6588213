"""`recast verify`: prove that what the store needs is there and whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import option
from recast.pipelines.terminal.text import counted, visible

if TYPE_CHECKING:
    from recast.curate.store.store import Store

DAMAGED = 5


def job(
    *,
    deep: Annotated[bool, option("--deep", help="Hash every row again, not only every file.")] = False,
    store: Store,
) -> dict[str, Any]:
    """Hash every part again and check the catalog against its manifests. Damage is named with what it touches."""
    from recast.curate.gate import gate_files
    from recast.curate.store.maintenance import Problem, verify

    found = verify(store, deep=deep)
    found.problems += [Problem(what) for what in gate_files.damages(store.root)]
    return found.to_json()


def exit_code(result: dict[str, Any]) -> int:
    return 0 if result["ok"] else DAMAGED


def show(result: dict[str, Any], console: Any) -> None:
    words = f"{counted(result['versions'], 'version')}, {counted(result['parts'], 'part')}, "
    words += f"{result['bytes'] / 1e6:,.1f} MB"
    if result["rows_hashed"]:
        words += f", {counted(result['rows_hashed'], 'row')} hashed"
    console.print(f"{words}: {'whole' if result['ok'] else 'DAMAGED'}")
    if result["ok"] and result["versions"] and not result["manifests"]:
        console.print(
            "no manifests yet (a store of before): the next write adds them, as does `recast rebuild`"
        )
    for problem in result["problems"]:
        touched = f"; touches {', '.join(problem['versions'])}" if problem["versions"] else ""
        if problem["rows"]:
            touched += f" ({counted(problem['rows'], 'row')}, such as {', '.join(problem['examples'])})"
        console.print(f"  {visible(problem['what'] + touched)}", markup=False)
