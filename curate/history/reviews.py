"""What people say of rows, by the names that stand in files of decisions and in a row's `meta`.

A decision is about a text: `seen_of` names it, so that a decision about a text that changed since is told apart.
`recast review` makes decisions, and so does the page of `recast diff --html`; both write the same lines.
"""

from __future__ import annotations

from recast.curate.fingerprint import fingerprint

FORMAT = 1
"""Of a file of decisions: `review` in its first line."""
ACTIONS = {"accept": "accepted", "expert": "expert", "edit": "edited", "suspect": "suspect"}
"""What settles a row -> what `meta.review.decision` says of it."""
REASONS = {
    "wrong_answer": "the answer is wrong",
    "wrong_step": "a step is wrong",
    "step_missing": "a step is missing",
    "invented": "says what nobody gave",
    "unclear": "hard to follow",
    "language": "language or tone",
    "format": "format",
    "too_long": "too long, or twice",
    "other": "something else",
}
"""Why a text is not good, as `1` to `9` choose it."""
_DIGITS = 16


def seen_of(completion: str) -> str:
    """The name of a text: 16 hex digits."""
    return fingerprint(completion)[:_DIGITS]
