"""How alike two texts are, by the published metrics, each from a library: `text_similarity`.

| metric | library | value |
|---|---|---|
| `fuzzy_match` | rapidfuzz | WRatio of both texts in lower case without punctuation, / 100 |
| `bleu` | sacrebleu | sentence BLEU of its default smoothing, orders that the text is too short for left out, / 100 |
| `gleu` | nltk | sentence GLEU of words between spaces |
| `meteor` | nltk, with its corpus `wordnet` | METEOR of words between spaces |
| `rouge_1` to `rouge_5`, `rouge_l` | rouge-score | F1, without stemming |
| `cosine` | an embedding model | cosine, what is below 0 as 0 |

Lengths are bounded, since some of them grow with the square: a longer text is no grade but a flag.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from recast.curate.errors import MissingDependencyError, UsageError
from recast.train.graders.format.published import TextSimilarity
from recast.train.graders.format.template import TooLongError
from recast.train.graders.kinds.rendering import batched, each, text
from recast.train.graders.records import Case, Errors, Models, Outcome, failed

MAX_CHARS = 32_768
MAX_METEOR_CHARS = 8_192
INSTALL = "pip install 'recast-sft[graders]'"
CORPUS = "python -m nltk.downloader wordnet"


def text_similarity(config: TextSimilarity, cases: Sequence[Case], models: Models) -> list[Outcome]:
    if config.evaluation_metric == "cosine":
        return batched(cases, lambda case: _pair(case, config), lambda pairs: _cosines(pairs, models))
    measure = metric(config.evaluation_metric)
    return each(cases, lambda case: Outcome(_within(measure(*_pair(case, config)))))


def needed(config: TextSimilarity, models: Models) -> None:
    """Raise MissingDependencyError or UsageError where the metric cannot be had here."""
    if config.evaluation_metric == "cosine":
        if models.cosine is None:
            raise UsageError(
                f"the grader {config.name!r} asks for the cosine of embeddings, and no embedding model was given. Name "
                "one with --embedding, or choose another evaluation_metric."
            )
    else:
        metric(config.evaluation_metric)


@cache
def metric(name: str) -> Callable[[str, str], float]:
    """(text, reference) -> how alike they are. Raises MissingDependencyError, with what to install."""
    if name == "fuzzy_match":
        fuzz, utils = _imported("rapidfuzz", "fuzz", "utils")
        return lambda said, wanted: fuzz.WRatio(said, wanted, processor=utils.default_process) / 100
    if name == "bleu":
        (bleu,) = _imported("sacrebleu", "sentence_bleu")
        return lambda said, wanted: bleu(said, [wanted]).score / 100
    if name == "gleu":
        (gleu,) = _imported("nltk.translate.gleu_score", "sentence_gleu")
        return lambda said, wanted: gleu([wanted.split()], said.split()) if said.split() else 0.0
    if name == "meteor":
        return _meteor()
    return _rouge(name)


def _rouge(name: str) -> Callable[[str, str], float]:
    if name == "rouge_l":
        # rouge-score's own table takes seconds for long texts: the same length of the same words, in C++
        (tokenizers,) = _imported("rouge_score", "tokenizers")
        (lcs,) = _imported("rapidfuzz.distance", "LCSseq")
        tokenizer = tokenizers.DefaultTokenizer(use_stemmer=False)

        def longest(said: str, wanted: str) -> float:
            one, two = tokenizer.tokenize(said), tokenizer.tokenize(wanted)
            return 2 * lcs.similarity(one, two) / (len(one) + len(two)) if one and two else 0.0

        return longest
    (scorers,) = _imported("rouge_score", "rouge_scorer")
    kind = name.replace("rouge_", "rouge")
    scorer = scorers.RougeScorer([kind], use_stemmer=False)
    return lambda said, wanted: scorer.score(wanted, said)[kind].fmeasure


def _meteor() -> Callable[[str, str], float]:
    (score,) = _imported("nltk.translate.meteor_score", "single_meteor_score")
    (corpus,) = _imported("nltk.corpus", "wordnet")
    try:
        corpus.ensure_loaded()
    except LookupError as error:
        raise MissingDependencyError(
            f"the metric meteor needs nltk's corpus wordnet, which this machine has not: {CORPUS}, or choose another "
            "evaluation_metric."
        ) from error

    def meteor(said: str, wanted: str) -> float:
        if max(len(said), len(wanted)) > MAX_METEOR_CHARS:
            raise TooLongError(f"more than {MAX_METEOR_CHARS:,} characters")
        return score(wanted.split(), said.split()) if said.split() and wanted.split() else 0.0

    return meteor


def _imported(module: str, *names: str) -> list[Any]:
    import importlib

    try:
        loaded = importlib.import_module(module)
        return [
            getattr(loaded, name) if hasattr(loaded, name) else importlib.import_module(f"{module}.{name}")
            for name in names
        ]
    except ImportError as error:
        raise MissingDependencyError(
            f"a text_similarity grader needs {module.partition('.')[0].replace('_', '-')}: {INSTALL}"
        ) from error


def _pair(case: Case, config: TextSimilarity) -> tuple[str, str]:
    said, wanted = text(case, config.input), text(case, config.reference)
    if max(len(said), len(wanted)) > MAX_CHARS:
        raise TooLongError(f"more than {MAX_CHARS:,} characters")
    return said, wanted


def _cosines(pairs: Sequence[tuple[str, str]], models: Models) -> list[Outcome]:
    assert models.cosine is not None  # `needed` has seen to it
    said = models.cosine(pairs)
    return [
        failed(Errors(truncated_observation_error=True), scored=True)
        if cosine is None
        else Outcome(_within(cosine))
        for cosine in said
    ]


def _within(value: float) -> float:
    """Rounding may leave [0, 1] by an ulp; NaN is a library's fault and rises."""
    if math.isnan(value):
        raise ValueError("the metric is not a number")
    return min(1.0, max(0.0, float(value)))
