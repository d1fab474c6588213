"""The flattening alarm: which measures fall, by how much, and that nothing else sets it off."""

from __future__ import annotations

import random
import subprocess
import sys

from recast.curate.curation.collapse import DiversityConfig, Loss, Profile, losses, measure


def rows(completions: list[str], demonstrations: list[str]) -> list[dict]:
    return [
        {"row_id": f"r{i}", "target": 0, "completion": c, "demonstration": d}
        for i, (c, d) in enumerate(zip(completions, demonstrations, strict=True))
    ]


def varied(seed: int, count: int = 80) -> list[str]:
    draw = random.Random(seed)
    vocabulary = [f"w{i}" for i in range(400)]
    return [" ".join(draw.choices(vocabulary, k=draw.randint(10, 60))) for _ in range(count)]


TEMPLATE = [f"To solve this we add the numbers and get {i} in total" for i in range(80)]


def test_a_template_sets_off_every_alarm():
    found = measure(rows(TEMPLATE, varied(0)))
    assert [loss.field for loss in found.losses] == [
        "distinct_1", "distinct_2", "distinct_3", "dissimilarity", "opening_entropy", "length_entropy", "vendi",
        "cluster_coverage",
    ]  # fmt: skip
    assert found.num_rows == 80 and found.vectors == "hashed words"


def test_other_words_as_varied_as_the_demonstrations_set_off_none():
    assert measure(rows(varied(1), varied(0))).losses == ()
    same = measure(rows(TEMPLATE, TEMPLATE))
    assert same.losses == () and same.before == same.after


def test_one_opening_for_all_is_named():
    opened = [f"Let us look at it : {text}" for text in varied(0)]
    assert [loss.field for loss in measure(rows(opened, varied(0))).losses] == ["opening_entropy"]


def test_a_loss_says_how_much():
    found = losses(Profile(vendi=4.0, distinct_1=0.5), Profile(vendi=1.0, distinct_1=0.4), 0.3)
    assert [str(loss) for loss in found] == ["vendi fell from 4 to 1 (-75%)"]
    assert losses(Profile(vendi=4.0), Profile(vendi=1.0), 0.8) == []
    assert losses(Profile(vendi=4.0), Profile(), 0.3) == [], "what was not measured did not fall"
    assert Loss("vendi", 4.0, 3.0).share == 0.25


def test_an_estimate_counts_as_fallen_only_beyond_its_interval():
    before = Profile(dissimilarity=1.0)
    assert losses(before, Profile(dissimilarity=0.65, dissimilarity_error=0.1), 0.3) == []
    assert len(losses(before, Profile(dissimilarity=0.55, dissimilarity_error=0.1), 0.3)) == 1


def test_the_sample_does_not_depend_on_the_order_of_the_rows():
    given = rows(varied(1), varied(0))
    config = DiversityConfig(sample=30)
    one, two = measure(given, config), measure(given[::-1], config)
    assert one == two and one.num_rows == 30


def test_vectors_of_a_model_are_used_where_one_is_given():
    asked: list[int] = []

    def embed(texts):
        asked.append(len(texts))
        return [[1.0, 0.0] if text.startswith("To") else [float(i % 2), 1.0] for i, text in enumerate(texts)]

    found = measure(rows(TEMPLATE, varied(0)), DiversityConfig(embedding="some/model"), embed=embed)
    assert asked == [80, 80] and found.vectors == "some/model"
    assert found.after.vendi == 1.0


def test_no_torch_is_needed():
    modules = "recast.curate.curation.collapse, recast.curate.curation.filters"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
