"""Of some words a thing has one."""

import pytest

from recast.curate.language.exclusive import changed_kind


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("white balls", "yellow balloons", ("white", "yellow")),
        ("white and yellow balls", "yellow balls", ("white", "yellow")),  # the text makes up a second colour
        ("red balls", "red and blue balls", None),
        ("white balls", "balls", None),  # nothing was said of their colour
        ("in May", "in April", ("May", "April")),
        ("in April and in May", "in April", None),  # the month after
        ("she may sell", "in April", None),
        ("on Friday", "from Friday to Sunday", None),
        ("for dinner", "for lunch", ("dinner", "lunch")),
        ("for lunch and dinner", "for lunch", None),
    ],
)
def test_a_word_that_excludes_another_is_seen(
    ours: str, theirs: str, expected: tuple[str, str] | None
) -> None:
    assert changed_kind(frozenset(ours.split()), frozenset(theirs.split())) == expected
