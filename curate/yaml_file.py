"""YAML that a user wrote, read within bounds: a few lines of aliases can stand for more than a machine holds.

    settings = load(path.read_text(encoding="utf-8"))

Everything that is wrong with a text is a `yaml.YAMLError`, which says what to do.
"""

from __future__ import annotations

from typing import Any

import yaml

MOST_CHARACTERS = 4_000_000
MOST_VALUES = 200_000  # with every alias written out


def load(text: str) -> Any:
    """Return what `text` holds, as `yaml.safe_load`. Raises yaml.YAMLError, also for what is too large or too deep."""
    if len(text) > MOST_CHARACTERS:
        raise yaml.YAMLError(f"{len(text)} characters, more than the {MOST_CHARACTERS} that are read")
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        if (size := _size(root, {}, set())) > MOST_VALUES:
            raise yaml.YAMLError(
                f"it stands for {size} values with its aliases written out, more than the {MOST_VALUES} that are read"
            )
        return loader.construct_document(root)
    except RecursionError:
        raise yaml.YAMLError("nested too deeply") from None
    except (
        ValueError,
        OverflowError,
    ) as wrong:  # a date of the thirteenth month, a number of too many digits
        raise yaml.YAMLError(f"it holds a value that is none ({wrong})") from wrong
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int], above: set[int]) -> int:
    """Values that `node` stands for. Raises yaml.YAMLError where it holds itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        return known[id(node)]
    if id(node) in above:
        raise yaml.YAMLError("an alias stands inside what it stands for")
    above.add(id(node))
    members = (part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,)))
    known[id(node)] = 1 + sum(_size(member, known, above) for member in members)
    above.discard(id(node))
    return known[id(node)]
