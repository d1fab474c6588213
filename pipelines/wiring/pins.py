"""A version and the model that somebody else's trainer made of it: what `recast pin` does, when training ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from recast.curate.history.lineage import pin
from recast.curate.store.store import Store


class PinCallback(TrainerCallback):
    """Writes `dataset.lock` beside every checkpoint and into the output folder, and tells the store of the latter.

    The versions are those that the names meant when the callback was made. In a run of several processes the first one
    writes.
    """

    def __init__(self, store: Store, ref: str, mixed: Sequence[tuple[str, float | None]] = ()) -> None:
        self.store = store
        self.version_id = store.resolve(ref).id
        self.mixed = [(store.resolve(other).id, weight) for other, weight in mixed]

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        folder = Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        # checkpoints come and go: as a model they are known by their folder alone
        self._pin(folder, state, remembered=False)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        folder = Path(args.output_dir)
        if state.is_world_process_zero:
            folder.mkdir(parents=True, exist_ok=True)  # the model is saved there next
        self._pin(folder, state, remembered=True)

    def _pin(self, folder: Path, state: Any, *, remembered: bool) -> None:
        if state.is_world_process_zero:
            pin(self.store, folder, self.version_id, mixed=self.mixed, remembered=remembered)
