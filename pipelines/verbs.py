"""The verbs of `recast`, one module each: a function that does the job, and how its result is said.

A job is a plain function whose signature is the whole contract. Its annotated parameters are at once
the options of the command line, the `args` a stages file may give, and the keyword arguments of a
caller in Python; `options` holds their vocabulary. Parameters called `store`, `config`, `run`, `progress`
and `reporter` are handed in by whoever runs the job and are never options. The result is a dict that JSON
can hold.

Job modules import nothing heavy at module level: `recast diff --help` must not load torch.
"""

from __future__ import annotations

import builtins
import importlib
import keyword
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

INJECTED = ("store", "config", "run", "progress", "reporter")


@dataclass(frozen=True, slots=True)
class Verb:
    """One entry of the command line. `recast --help` needs no more than this."""

    name: str  # as it is typed: "import", or "gate run" for a verb of a group
    help: str
    folder: str  # of `pipelines.jobs`, and the part of the help page
    example: str
    has_run: bool = False  # owns a run folder: the same command finds the same folder and goes on
    shares: bool = False  # given `workers`, several processes do the run together
    sections: tuple[str, ...] = ()  # of the configuration that the job reads, so part of a run's identity
    sections_with: tuple[
        tuple[str, str], ...
    ] = ()  # parameter, and the section that the job reads where it is given

    def load(self) -> Any:
        """Import the module of the verb: it has a function `job` and, for people, `show`."""
        return importlib.import_module(f"recast.pipelines.jobs.{self.folder}.{self.module}")

    @property
    def module(self) -> str:
        """The last word of the name as Python takes it, with an underscore where it has it for a word of its own."""
        word = self.name.rpartition(" ")[2].replace("-", "_")
        return f"{word}_" if keyword.iskeyword(word) or hasattr(builtins, word) else word

    @property
    def panel(self) -> str:
        return PANELS[self.folder]

    @property
    def job(self) -> Callable[..., dict[str, Any]]:
        return self.load().job


VERSIONS, GATE, GRADERS, MODELS, AGENT = "versions", "gate", "graders", "models", "agent"
TRAINING, PEOPLE, SETUP = "training", "people", "setup"
PANELS = {
    VERSIONS: "Versions",
    GATE: "The gate",
    GRADERS: "Graders",
    MODELS: "Models",
    AGENT: "The rewriting agent",
    TRAINING: "Training and measuring",
    PEOPLE: "Whole jobs and their story",
    SETUP: "Setting up and keeping up",
}

# verbs that belong together are typed as two words; the first has a help page that lists the second
GROUPS: dict[str, tuple[str, str]] = {
    "gate": ("Audit versions with a gate, and measure the gate itself.", PANELS[GATE]),
    "grader": ("Check, run and measure graders.", PANELS[GRADERS]),
    "models": ("Models from outside as folders that every verb reads.", PANELS[MODELS]),
    "jobs": ("What runs, where, how fast, and what is left; stop it.", PANELS[PEOPLE]),
}
MEANT = {"jobs": "list"}
"""The verb of a group that its first word alone stands for."""

VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "import",
            "Read demonstrations into the store as the next version of a name.",
            VERSIONS,
            "recast import demos.jsonl --as craft",
        ),
        Verb("log", "The versions of a name, newest first.", VERSIONS, "recast log craft --graph"),
        Verb(
            "show",
            "Rows of a version, with decisions and reasons.",
            VERSIONS,
            "recast show craft@v2 --limit 3",
        ),
        Verb(
            "diff",
            "What changed between two versions, word by word.",
            VERSIONS,
            "recast diff craft craft-rewrites --words --limit 5",
        ),
        Verb(
            "why",
            "Why a row reads as it does, in one sentence.",
            VERSIONS,
            "recast why craft-rewrites craft-00001",
        ),
        Verb(
            "blame",
            "Every text that a row has had, newest first.",
            VERSIONS,
            "recast blame craft craft-00001",
        ),
        Verb("impact", "The models that trained on a row.", VERSIONS, "recast impact craft-00001"),
        Verb("sql", "Query versions with SQL.", VERSIONS, "recast sql 'SELECT ref, rows FROM versions'"),
        Verb("tag", "Give a version a name of its own.", VERSIONS, "recast tag craft@v3 ready"),
        Verb(
            "promote",
            "Tag a version if it meets stated rules.",
            VERSIONS,
            "recast promote craft-rewrites ready --require rules.yaml",
        ),
        Verb("branch", "Start a line of versions of its own.", VERSIONS, "recast branch craft@v2 shorter"),
        Verb(
            "merge",
            "Bring the rows of another version into a branch.",
            VERSIONS,
            "recast merge craft craft/shorter",
        ),
        Verb("revert", "Undo what one version changed.", VERSIONS, "recast revert craft@v2"),
        Verb(
            "pin", "Record which version a model was trained on.", VERSIONS, "recast pin models/mine craft@v3"
        ),
        Verb(
            "export",
            "Write a version as files that trainers read.",
            VERSIONS,
            "recast export craft-rewrites --to trl -o craft --validation 0.05",
        ),
        Verb(
            "curate",
            "Remove duplicates, noise, wrong and contaminated rows, with reasons.",
            VERSIONS,
            "recast curate craft --as craft-clean --against gsm8k-test.jsonl",
            has_run=True,
            sections=("curate",),
        ),
        Verb(
            "gate run",
            "Judge every row of a version; the verdicts can be queried.",
            GATE,
            "recast gate run craft-rewrites",
            has_run=True,
            shares=True,
            sections=("prompts",),
        ),
        Verb(
            "gate report",
            "How often a gate is wrong, by check, task and kind of mistake.",
            GATE,
            "recast gate report gsm8k --gate math",
        ),
        Verb(
            "gate perturb",
            "Labelled data from a version: right rewrites, and the same made wrong.",
            GATE,
            "recast gate perturb gsm8k -o labels.jsonl",
        ),
        Verb(
            "gate calibrate",
            "Choose a gate's thresholds on labels, for an error rate that you name.",
            GATE,
            "recast gate calibrate --labels labels.jsonl --target-false-accept 0.01 -o mine.yaml",
        ),
        Verb(
            "grader validate",
            "Is a file a grader, and can it run here?",
            GRADERS,
            "recast grader validate grader.json",
        ),
        Verb(
            "grader run",
            "What one answer is worth.",
            GRADERS,
            "recast grader run grader.json --item '{\"answer\": \"4\"}' --sample 'The answer is 4.'",
        ),
        Verb(
            "grader report",
            "How often a grader is wrong, by task and kind of mistake.",
            GRADERS,
            "recast grader report grader.json --labels labels.jsonl",
        ),
        Verb(
            "models get",
            "Fetch a model: smollm2, a GGUF file, or a hub id.",
            MODELS,
            "recast models get smollm2",
        ),
        Verb(
            "models check",
            "Try a model out: template, speed, memory of every job, settings that suit it.",
            MODELS,
            "recast models check smollm2",
            sections=("learn", "rewrite", "sft", "engine"),
        ),
        Verb(
            "learn",
            "Teach a rewriting agent on a version: LoRA, GRPO, gated reward.",
            AGENT,
            "recast learn craft --model path/to/model -o agents/craft",
            has_run=True,
            sections=("learn", "warm_start", "prompts"),
        ),
        Verb(
            "rewrite",
            "Rewrite a version: sample, verify, choose, or keep the expert.",
            AGENT,
            "recast rewrite craft --agent agents/craft --as craft-rewrites",
            has_run=True,
            shares=True,
            sections=("rewrite", "engine", "prompts"),
        ),
        Verb(
            "plan",
            "Predict time, tokens, acceptance and disk of a rewrite from a few rows.",
            AGENT,
            "recast plan craft --agent agents/craft",
            has_run=True,
            sections=("rewrite", "engine", "prompts"),
            sections_with=(("learning", "learn"),),
        ),
        Verb(
            "augment",
            "New questions from a version's rows, kept where own solutions agree.",
            AGENT,
            "recast augment craft --questions continue --as craft-more",
            has_run=True,
            shares=True,
            sections=("augment", "engine", "prompts"),
        ),
        Verb(
            "rehearse",
            "The backbone's own answers to general prompts, to mix in.",
            AGENT,
            "recast rehearse general --self 500",
            has_run=True,
            shares=True,
            sections=("rehearse", "engine"),
        ),
        Verb(
            "sft",
            "Fine-tune a model on the completions of a version.",
            TRAINING,
            "recast sft craft-rewrites general:0.2 --objective deft --model path/to/model -o models/craft",
            has_run=True,
            sections=("sft",),
        ),
        Verb(
            "reject",
            "Tune a model on accepted candidates and against refused ones.",
            TRAINING,
            "recast reject craft-rewrites --model path/to/model -o models/craft-rejected",
            has_run=True,
            sections=("reject", "judge"),
        ),
        Verb(
            "reward-model",
            "Make a reward model of accepted and refused candidates.",
            TRAINING,
            "recast reward-model craft-rewrites --model path/to/model --lora 16 -o models/craft-reward",
            has_run=True,
            sections=("reward_model", "judge"),
        ),
        Verb(
            "rl",
            "Tune a model by what a grader says of its own answers.",
            TRAINING,
            "recast rl gsm8k --grader grader.json --model models/warm -o models/rl",
            has_run=True,
            sections=("rl", "judge"),
        ),
        Verb(
            "eval",
            "Ask a model every question of some suites.",
            TRAINING,
            "recast eval models/craft --suite downstream.jsonl --suite general.jsonl",
            has_run=True,
            sections=("engine",),
        ),
        Verb(
            "compare",
            "What tuning gained on the task and forgot elsewhere.",
            TRAINING,
            "recast compare base.jsonl tuned.jsonl --target craft",
        ),
        Verb(
            "attribute",
            "Which groups of changed rows help a model on held-out text, and which hurt.",
            TRAINING,
            "recast attribute craft@v1 craft@v2 -m pocket --suite test.jsonl --by task --retrain 3",
            has_run=True,
            sections=("sft",),
        ),
        Verb(
            "pretrain",
            "Train a small causal LM from nothing, on text and chats.",
            TRAINING,
            "recast pretrain notes.txt craft -o models/small --size 10m",
        ),
        Verb(
            "run",
            "Run the stages of a file; goes on where it stopped.",
            PEOPLE,
            "recast run stages.yaml",
        ),
        Verb("demo", "The whole idea on the pocket backbone, in minutes.", PEOPLE, "recast demo"),
        Verb(
            "effect",
            "The proof: does SFT on rewrites learn as much and forget less?",
            PEOPLE,
            "recast effect --quick",
            sections=("learn", "rewrite", "sft"),
        ),
        Verb(
            "report",
            "One self-contained HTML page about a version.",
            PEOPLE,
            "recast report craft-rewrites -o report.html",
        ),
        Verb(
            "review",
            "Decide about rows on a page, one key each; decisions become a version.",
            PEOPLE,
            "recast review craft-rewrites",
        ),
        Verb(
            "edits",
            "What rewriting, or people, changed in a version, by kind.",
            PEOPLE,
            "recast edits craft-rewrites",
        ),
        Verb(
            "recall",
            "Take a row back: the version without it, and how to make its models anew.",
            PEOPLE,
            "recast recall craft-00001 --from craft",
        ),
        Verb(
            "replay",
            "Make a row again from what is recorded: the same, or different and why.",
            PEOPLE,
            "recast replay craft-rewrites craft-00001",
        ),
        Verb(
            "history",
            "One self-contained HTML page about a name over time.",
            PEOPLE,
            "recast history craft-rewrites -o history.html --target craft",
        ),
        Verb("jobs list", "What runs, where, how fast, and what is left.", PEOPLE, "recast jobs list --logs"),
        Verb(
            "jobs cancel",
            "Ask everybody at work on a run to stop.",
            PEOPLE,
            "recast jobs cancel rewrite-7f96",
        ),
        Verb("init", "Write a commented config.yaml.", SETUP, "recast init"),
        Verb(
            "doctor",
            "What this machine has and lacks; every line ends with the fix.",
            SETUP,
            "recast doctor --model path/to/model",
        ),
        Verb("verify", "Prove that the store is whole.", SETUP, "recast verify --deep"),
        Verb(
            "rebuild",
            "Make a lost or older catalog again from manifests and parts.",
            SETUP,
            "recast rebuild --dry-run",
        ),
        Verb("gc", "Remove files that no version needs.", SETUP, "recast gc --dry-run"),
        Verb("version", "Versions of recast and what it stands on.", SETUP, "recast version"),
    )
}
