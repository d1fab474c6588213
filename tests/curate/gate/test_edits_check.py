"""A gate file that bans or wants edits."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from recast.curate.errors import UsageError
from recast.curate.gate.checks.words.edits import EditsCheck
from recast.curate.gate.gate import GateConfig, load_gate
from recast.curate.records import VerdictStatus

ROW = {
    "demonstration": "5 bags * 3 apples = 15 apples.",
    "messages": [{"role": "user", "content": "How many?"}],
}


def test_a_gate_file_refuses_a_banned_edit_and_lets_others_pass(tmp_path):
    path = tmp_path / "house.yaml"
    path.write_text("checks:\n- {type: edits, banned: [adds_opening, 'inserted: juicy']}\n")
    gate = load_gate(path)
    refused = gate.verify(ROW, f"Let's think. {ROW['demonstration']}")
    assert (refused.status, refused.reason) == (VerdictStatus.REJECTED, "banned_edit")
    assert "begins with words that the text before lacks" in refused.checks[0].message
    assert "Let's think." in refused.checks[0].message
    assert gate.verify(ROW, "5 bags * 3 = 15 apples.").accepted
    assert gate.verify(ROW, "5 bags * 3 juicy apples = 15 apples.").reason == "banned_edit"


def test_a_wanted_edit_must_be_there():
    gate = load_gate(GateConfig(checks=(EditsCheck(wanted=("drops_units",)),)))
    assert gate.verify(ROW, "5 * 3 = 15").accepted
    assert gate.verify(ROW, f"So {ROW['demonstration']}").reason == "wanted_edit"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"banned": ["adds_openings"]}, "no edit is called 'adds_openings'"),
        ({}, "would have no effect"),
        ({"banned": ["adds_plan"], "wanted": ["adds_plan"]}, "both banned and wanted"),
    ],
)
def test_a_rule_without_a_meaning_is_refused(given, said, tmp_path):
    with pytest.raises(ValidationError, match=said):
        EditsCheck(**given)
    path = tmp_path / "gate.yaml"
    path.write_text(f"checks: [{{type: edits, {', '.join(f'{k}: {v}' for k, v in given.items())}}}]")
    with pytest.raises(UsageError, match=said):
        load_gate(path)


def test_which_edits_are_banned_is_part_of_the_gates_id():
    one, two = (
        load_gate(GateConfig(checks=(EditsCheck(banned=(name,)),))) for name in ("adds_plan", "drops_plan")
    )
    assert one.id != two.id
