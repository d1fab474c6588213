"""YAML is read as it ever was, and what would fill the machine or the stack is refused at once."""

from __future__ import annotations

import pytest
import yaml

from recast.curate import yaml_file

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize("text", ["", "a: 1", "- &x {b: [1, 2.5, null]}\n- *x", "2025-08-01", "true"])
def test_what_is_small_is_read_as_yaml(text: str) -> None:
    assert yaml_file.load(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text, reason",
    [
        (BOMB, "values with its aliases written out, more than the 200000"),
        ("&a [*a]", "an alias stands inside what it stands for"),
        ("[" * 100_000, "nested too deeply"),
        ("x" * 4_000_001, "4000001 characters, more than the 4000000"),
        ("when: 2025-13-41", "it holds a value that is none"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
    ],
)
def test_what_is_hostile_is_named(text: str, reason: str) -> None:
    with pytest.raises(yaml.YAMLError, match=reason):
        yaml_file.load(text)
