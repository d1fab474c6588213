"""A made-up run with the shape of the demo, to test the report with. No figure in it is a result."""

from __future__ import annotations

import math
import random

from recast.pipelines.report.data import (
    Arm,
    Curve,
    Fate,
    GateCount,
    Likelihoods,
    Lines,
    ReportData,
    Role,
    Sample,
    SampleCandidate,
    SampleCheck,
    Series,
    Stage,
    VersionNote,
)

SUITES = (
    "word_problems",
    "arithmetic",
    "comparing",
    "sorting",
    "reversing",
    "counting_letters",
    "unit_conversion",
    "facts",
    "logic",
    "short_reading",
    "calendar",
    "copying",
)
CHECKS = ("final_answer", "true_arithmetic", "step_results", "format", "copy_guard")


def arms(rng: random.Random) -> tuple[Arm, ...]:
    base = {suite: rng.uniform(68, 97) for suite in SUITES}
    mean = sum(base.values()) / len(base)
    out = [Arm("base", "base, before any SFT", "base", 4.7, mean, 0.0, -0.412, None, {}, base)]
    tuned: tuple[tuple[str, str, Role, float, float, float, float, float], ...] = (
        ("sft_demonstrations", "SFT on demonstrations", "reference", 62.2, 23.5, -1.31, 1.12, 0.8),
        ("sft_prompt_rewrites", "SFT on prompt-only rewrites", "control", 62.9, 9.3, -0.63, 0.62, 5.6),
        ("sft_rewrites", "SFT on the agent’s rewrites", "target", 98.9, 7.8, -0.55, 0.24, 0.4),
    )
    for key, label, role, downstream, lost, gold, loss, half in tuned:
        suites = {s: max(0.0, v - rng.uniform(-0.2, 2.2) * lost) for s, v in base.items()}
        general = sum(suites.values()) / len(suites)
        out.append(
            Arm(
                key,
                label,
                role,
                downstream,
                general,
                mean - general,
                gold,
                loss,
                {"downstream": half, "forgetting": 0.4 + half / 4},
                suites,
                5,
            )
        )
    return tuple(out)


def path(rng: random.Random, start: float, end: float, noise: float) -> tuple[tuple[float, float], ...]:
    """40 noisy steps from `start` towards `end`."""
    return tuple(
        (float(s), end + (start - end) * math.exp(-s / 11) + rng.gauss(0, noise)) for s in range(1, 41)
    )


def curves(rng: random.Random) -> tuple[Curve, ...]:
    def held(start: float, end: float) -> tuple[tuple[float, float], ...]:
        return tuple((float(s), end + (start - end) * math.exp(-s / 11)) for s in (0, 10, 20, 30, 40))

    rate = tuple((s, min(v, 1.0)) for s, v in path(rng, 0.79, 0.96, 0.035))
    return (
        Curve("reward", "Reward", "higher", "", path(rng, 0.71, 1.19, 0.05), held(0.7, 1.17)),
        Curve("pass_rate", "Gate pass rate", "higher", "share of candidates", rate, held(0.79, 0.95)),
        Curve(
            "nll", "NLL under the backbone", "lower", "nats a token", path(rng, 0.83, 0.28, 0.03),
            held(0.83, 0.29), (("demonstrations", 1.12), ("own samples", 0.24)),
        ),
        Curve("mean_tokens", "Length of a rewrite", "neither", "tokens", path(rng, 61, 55, 1.2), held(58, 54)),
        Curve("pair_distance", "Distance within a group", "higher", "of embeddings", path(rng, 0.2, 0.13, 0.01)),
    )  # fmt: skip


def lines(rng: random.Random) -> tuple[Lines, ...]:
    passed, none = path(rng, 0.35, 0.8, 0.05), path(rng, 0.08, 0.01, 0.01)
    some = tuple((s, 1 - p - n) for (s, p), (_, n) in zip(passed, none, strict=True))
    return (
        Lines(
            "fates", "Groups of candidates",
            (Series("all pass", "good", passed), Series("some", "open", some), Series("none", "bad", none)),
        ),
        Lines(
            "shares", "What moved the shaping",
            (
                Series("alignment", "first", path(rng, 0.8, 0.66, 0.04)),
                Series("diversity", "second", path(rng, 0.15, 0.3, 0.04)),
                Series("copy", "third", path(rng, 0.05, 0.04, 0.01)),
            ),
        ),
    )  # fmt: skip


def samples(rng: random.Random, count: int = 40) -> tuple[Sample, ...]:
    out = []
    for i in range(count):
        a, b, c = rng.randint(11, 79), rng.randint(3, 9), rng.randint(12, 60)
        first, second = a * b, a * b - c
        question = (
            f"Mira plaits {a} baskets a week for {b} weeks and then trades away {c} of them. "
            "How many baskets does she have left?"
        )
        before = (
            f"\\text{{total}} = {a} \\times {b} = {first} \\\\ "
            f"\\text{{left}} = {first} - {c} = {second} \\quad \\boxed{{{second}}}"
        )
        rewrite = (
            f"Mira plaits {a} baskets a week for {b} weeks, so she makes {a} * {b} = {first} baskets. "
            f"She trades away {c} of them, so {first} - {c} = {second} are left. The answer is {second}."
        )
        wrong = rewrite.replace(f"= {second} are", f"= {second + 10} are").replace(
            f"is {second}.", f"is {second + 10}."
        )
        kind = "fallback" if i % 9 == 4 else "repair" if i % 11 == 6 else "rewrite"
        reason = ("wrong_answer", "false_equality", "missing_step")[i % 3] if kind == "fallback" else ""
        bad = SampleCandidate(wrong, "rejected", "wrong_answer", rng.uniform(0.3, 0.5))
        good = SampleCandidate(rewrite, "accepted", "", rng.uniform(0.2, 0.4), int(kind == "repair"), True)
        status = dict.fromkeys(CHECKS, "pass")
        if kind == "fallback":
            status["final_answer"] = "fail"
        out.append(
            Sample(
                row_id=f"{rng.getrandbits(128):032x}",
                before=before,
                after=before if kind == "fallback" else rewrite,
                decision=kind,
                prompt=(("user", question),),
                task="baskets",
                answer=str(second),
                reason=reason,
                checks=tuple(
                    SampleCheck(
                        n,
                        s,
                        reason if s == "fail" else "",
                        f"found {second + 10}, expected {second}" if s == "fail" else "",
                    )
                    for n, s in status.items()
                ),
                candidates=(bad, bad) if kind == "fallback" else (good, bad),
                nll_before=(nll := rng.gauss(1.12, 0.1)),
                nll_after=nll if kind == "fallback" else rng.gauss(0.28, 0.05),
                nll_self=rng.gauss(0.24, 0.04),
            )
        )
    return tuple(out)


def example(seed: int = 7) -> ReportData:
    """Every section filled."""
    rng = random.Random(seed)
    return ReportData(
        title="craft-rewrites@v1 against craft@v1",
        subtitle="Example run, 600 rows, 5 seeds",
        created_at="2026-11-21 10:04 UTC",
        arms=arms(rng),
        fates=(
            Fate("rewrite", "", 541),
            Fate("repair", "", 19),
            Fate("fallback", "wrong_answer", 17),
            Fate("fallback", "false_equality", 11),
            Fate("fallback", "missing_step", 8),
            Fate("fallback", "unverifiable", 3),
            Fate("fallback", "truncated", 1),
        ),
        curves=curves(rng),
        lines=lines(rng),
        likelihoods=(
            Likelihoods("demonstration", "Demonstrations", tuple(rng.gauss(1.12, 0.13) for _ in range(600))),
            Likelihoods(
                "completion", "Rewrites", tuple(rng.lognormvariate(math.log(0.28), 0.25) for _ in range(560))
            ),
            Likelihoods(
                "self", "Own samples", tuple(rng.lognormvariate(math.log(0.24), 0.3) for _ in range(600))
            ),
        ),
        gate_counts=(
            GateCount("final_answer", 2281, 119, 0),
            GateCount("true_arithmetic", 2320, 74, 6),
            GateCount("step_results", 2212, 188, 0),
            GateCount("format", 2396, 4, 0),
            GateCount("copy_guard", 2377, 23, 0),
        ),
        samples=samples(rng),
        rows_in_all=600,
        versions=(
            VersionNote(
                "craft@v1",
                "5f1c9a7be0d24c11",
                600,
                "",
                "demo",
                "demonstrations of the downstream family",
                "2026-11-21 09:58",
                "+600",
            ),
            VersionNote(
                "craft-rewrites@v1",
                "c07734aa91be2f05",
                600,
                "craft@v1",
                "demo",
                "rewritten by agent 9b1f",
                "2026-11-21 10:01",
                "~560",
            ),
        ),
        stages=(
            Stage("import", 0.8, "recast import demos.jsonl --as craft"),
            Stage("learn", 118.0, "recast learn craft --model pocket -o runs/learn"),
            Stage("rewrite", 61.0, "recast rewrite craft --agent runs/learn --as craft-rewrites"),
            Stage("sft craft", 19.0, "recast sft craft --model pocket -o runs/sft-demonstrations"),
            Stage(
                "sft craft-rewrites", 18.0, "recast sft craft-rewrites --model pocket -o runs/sft-rewrites"
            ),
            Stage("eval", 31.0, "recast eval pocket runs/sft-demonstrations runs/sft-rewrites"),
        ),
        facts=(
            ("gate", "3d0c5e8f9a12b764"),
            ("agent", "9b1fd4420c7788e1"),
            ("prompt", "rewrite-1"),
            ("engine", "hf, bfloat16"),
            ("root seed", "17"),
            ("machine", "2 cores, 24 GiB, no GPU"),
            ("python", "3.11.7"),
            ("torch", "2.13.0"),
            ("transformers", "5.17.0"),
            ("trl", "1.16.0"),
            ("recast", "0.1.0"),
        ),
    )
