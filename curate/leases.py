"""Leases: which process does which unit of a run, agreed on by files of a shared folder, without a server.

A lease is a hard link to its holder's file (`curate.presence`), made where there was none, which one process alone can
do: so it says who holds it, and is touched whenever its holder is. The lease of a holder that counts as dead is taken
over. A lease saves work and guards nothing: a process that was only stopped may come back and end its unit, too, so
whoever stores the outcome of a unit lets the first whole one stand (`curate.files.first`).

    with Leases(Presence(run / "workers")) as leases:
        if leases.claim(17): ...; leases.release(17)
"""

from __future__ import annotations

from pathlib import Path

from recast.curate import presence
from recast.curate.errors import UsageError
from recast.curate.presence import Presence

SUFFIX = ".lease"


class Leases:
    """What one process holds. `me` must be entered; leaving releases what is held."""

    def __init__(self, me: Presence) -> None:
        self.me, self.held = me, set[int]()

    def __enter__(self) -> Leases:
        return self

    def __exit__(self, *_: object) -> None:
        for unit in tuple(self.held):
            self.release(unit)

    def claim(self, unit: int) -> bool:
        """Whether this process may do `unit` now. False where another one holds it, which may be over soon."""
        if unit in self.held:
            return True
        if not self._claimed(self._path(unit)):
            return False
        self.held.add(unit)
        return True

    def release(self, unit: int) -> None:
        """Give `unit` back, done or not. Does nothing where it is not held."""
        if unit not in self.held:
            return
        path = self._path(unit)
        holder = presence.read(path)
        if holder is not None and holder.id == self.me.id:
            path.unlink(missing_ok=True)
        self.held.discard(unit)

    def _path(self, unit: int) -> Path:
        # beside the files of processes: some file systems link only within a folder
        return self.me.folder / f"{unit:06d}{SUFFIX}"

    def _claimed(self, path: Path) -> bool:
        """Whether `path` could be made, after the holder that had it and is dead."""
        if self._made(path):
            return True
        holder = presence.read(path)
        if holder is None:  # released since
            return self._made(path)
        if holder.alive(self.me.now()):
            return False
        # many may have read that it is dead, and one that acts late would remove the lease of one that was faster:
        # so whoever removes it holds the turn to do so, a lease in its own right, and reads again
        turn = path.with_name(f"{path.name}.{holder.id[-6:]}")
        if not self._claimed(turn):
            return False
        found = presence.read(path)
        if found is not None and found.id == holder.id:
            path.unlink(missing_ok=True)
        made = self._made(path)
        turn.unlink(missing_ok=True)
        return made

    def _made(self, path: Path) -> bool:
        try:
            path.hardlink_to(self.me.path)
        except FileExistsError:
            found = presence.read(path)  # an answer that was lost on the network made it all the same
            return found is not None and found.id == self.me.id
        except FileNotFoundError:  # this process was taken for dead; its next beat writes its file anew
            self.me.now()
            return False
        except OSError as error:
            raise UsageError(
                f"{path.parent} cannot be shared between processes: its file system makes no hard links ({error}). "
                "Choose a store on another one with --store, or leave --workers out."
            ) from error
        return True


def holders(folder: Path) -> dict[int, str]:
    """Unit to the id of the process that holds its lease, dead or alive."""
    found = ((path, presence.read(path)) for path in sorted(folder.glob(f"*{SUFFIX}")))
    return {int(path.name.removesuffix(SUFFIX)): seen.id for path, seen in found if seen is not None}
