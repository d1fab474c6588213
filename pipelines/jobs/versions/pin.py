"""`recast pin`: record which version a model was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import VersionRef, argument

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config


def job(
    folder: Annotated[Path, argument("Folder of the model that was trained.", metavar="MODEL_DIR")],
    ref: VersionRef,
    *,
    store: Store,
    config: Config,
) -> dict[str, Any]:
    """Write `dataset.lock` beside the model and remember it in the store, for `recast impact`. `sft` does so itself."""
    from recast.curate.history.lineage import pin

    version = store.resolve(ref)
    lock = pin(store, folder, version.id, author=config.general.author)
    return {
        "model": str(folder),
        "version": version.ref,
        "version_id": version.id,
        "rows": version.rows,
        "lock": str(lock),
    }


def show(result: dict[str, Any], console: Any) -> None:
    console.print(f"{result['lock']}: {result['model']} was trained on {result['version']}", markup=False)
