"""A folder as a data set of the Hugging Face hub: what would be sent, and sending it in one commit.

planned(Path("gsm8k-hf"))            # name, bytes and sha256 of every file; nothing is asked of the hub
push(Path("gsm8k-hf"), "me/gsm8k")
"""

from __future__ import annotations

import re
from typing import Any

from recast.curate.errors import MissingDependencyError, UsageError
from recast.curate.export.destination import within
from recast.curate.export.outcome import Exported

_SHARD = re.compile(r"data/(train|validation)-\d{5}\.parquet")


def planned(done: Exported) -> list[dict[str, Any]]:
    """Every file of an export with its size and hash, as the hub would name it. Looks at the files, not at the hub."""
    found = []
    for operation in _operations(done):
        info = operation.upload_info
        found.append({"path": operation.path_in_repo, "bytes": info.size, "sha256": info.sha256.hex()})
    return found


def push(done: Exported, name: str) -> str:
    """Send the files of an export to the data set `name` (USER/NAME), all in one commit; return its address.

    The data set is made private where there is none. Shards that an earlier commit brought and this one does not bring
    are deleted by it: the reader takes all that lie there. Raises UsageError for a name without a user.
    """
    _check(name)
    operations = _operations(done)
    from huggingface_hub import CommitOperationDelete, HfApi

    hub = HfApi()
    hub.create_repo(name, repo_type="dataset", private=True, exist_ok=True)
    ours = {operation.path_in_repo for operation in operations}
    there = hub.list_repo_files(name, repo_type="dataset")
    old = [path for path in there if _SHARD.fullmatch(path) and path not in ours]
    commit = hub.create_commit(
        name,
        [*operations, *map(CommitOperationDelete, old)],
        repo_type="dataset",
        commit_message=f"{done.ref} ({done.version_id[:16]})",
    )
    return commit.commit_url


def _check(name: str) -> None:
    if name.count("/") != 1 or not all(name.split("/")):
        raise UsageError(f"--push takes USER/NAME, for instance --push me/gsm8k; found {name!r}.")


def _operations(done: Exported) -> list[Any]:
    try:
        from huggingface_hub import CommitOperationAdd
    except ImportError as missing:
        raise MissingDependencyError(
            "pushing needs huggingface_hub: pip install huggingface_hub"
        ) from missing
    return [
        CommitOperationAdd(path_in_repo=within(done.path, file.path), path_or_fileobj=str(file.path))
        for file in done.files
        if not file.path.name.startswith("refused")  # rows that were left out on purpose stay here
    ]
