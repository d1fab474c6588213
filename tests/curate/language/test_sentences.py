"""Sentences end at marks and lines, not within numbers, initials or abbreviations."""

import pytest

from recast.curate.language.sentences import sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He has 3.5 kg. She has 2.", ("He has 3.5 kg.", "She has 2.")),
        ("Mr. Lee and Dr. Wu met J. Doe. They ate.", ("Mr. Lee and Dr. Wu met J. Doe.", "They ate.")),
        ("one\n\ntwo\n three ", ("one", "two", "three")),
        ("Is it 4? Yes! It costs $5. $6 is more.", ("Is it 4?", "Yes!", "It costs $5.", "$6 is more.")),
        ("答案是35。所以！好", ("答案是35。", "所以！", "好")),
        ("He said \"stop.\" Then he left.", ('He said "stop."', "Then he left.")),
        ("Fruit, e.g. apples, cost 2.", ("Fruit, e.g. apples, cost 2.",)),
        ("", ()),
        (" \n ", ()),
    ],
)  # fmt: skip
def test_a_text_is_cut_where_a_reader_would_pause(text: str, expected: tuple[str, ...]) -> None:
    assert sentences(text) == expected
