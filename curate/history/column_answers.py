"""The final answers of a whole column of texts at once.

`rowdiff.final_answer` reads one text, in Python. Of a million texts most state no answer, or one number in a way that
can be read only one way; regular expressions that run over the column tell those apart. Only what is left is read
text by text, each different one once. A test holds that both ways give the same.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from recast.curate.answers import extract
from recast.curate.answers.statements.clauses import AUXILIARIES, BETWEEN, TAKEN_BACK
from recast.curate.history import row_diff
from recast.curate.schema import literal

# Every mark that `answers.find_answer` knows has one of these in it or just before it (more is matched than is a mark).
# The match runs from the first of them to the end of the text, with the words before a phrase, which can undo it.
_MARKED = "|".join([
    r"(?s)(?:[\w']+[ \t]+){0,5}[\w']*\s*(?i:answer|solution|option|choice).*",
    r"<think>.*",
    r"(?i:答案|答えは|정답|답|respuesta|réponse|resposta|risposta|antwort|antwoord|ответ|відповідь|odpowiedź).*",
    r"(?m:^)[ \t]*####.*",
    r"[^\n \t][ \t]*####.*",  # not at the start of its line, where it marks nothing
    r"\\f?box.*",
    r"(?m:^)[ \t*_]*(?:A|Ans|Result)[ \t*_]*[:.=].*",
])  # fmt: skip
_NUMBER = r"-?(?:0|[1-9]\d*)(?:\.\d+)?"
_PLAIN = "|".join([  # one number, and nothing after it
    rf"[ \t]{{0,8}}####[ \t]*{_NUMBER}\s*",
    rf"(?:[\w']+[ \t]+){{0,5}}[tT]he answer is:? {_NUMBER}\.?\s*",
    rf"(?:[tT]he answer is:? )?\$?\\boxed\{{{_NUMBER}\}}\$?\.?\s*",
])  # fmt: skip
# Words before `the answer is` that may take it back, mark another, or hide what stands before the five that are read.
_UNSURE = "|".join([
    rf"(?i)\b(?:{'|'.join(sorted(TAKEN_BACK | AUXILIARIES))}|solutions?|options?|choices?)\b",
    r"(?is)answer.*answer",
    rf"(?i)^(?:(?:{'|'.join(sorted(BETWEEN))})[ \t]+){{5}}",
])  # fmt: skip


def final_answers(con: duckdb.DuckDBPyConnection, texts: pa.Table) -> pa.Array:
    """string[rows]: what each `completion` of `texts` states, else its `answer`."""
    con.register("texts", texts.select(["completion"]))
    found = con.sql(
        f"SELECT tail <> '' AS marked, CASE WHEN regexp_full_match(tail, {literal(_PLAIN)}) "
        f"AND NOT regexp_matches(tail, {literal(_UNSURE)}) THEN regexp_extract(tail, {literal(_NUMBER)}) END AS stated "
        f"FROM (SELECT regexp_extract(completion, {literal(_MARKED)}) AS tail FROM texts)"
    ).to_arrow_table()
    con.unregister("texts")
    unclear = pc.and_(pc.fill_null(found.column("marked"), False), pc.is_null(found.column("stated")))
    coded = pc.dictionary_encode(
        pc.if_else(unclear, texts.column("completion"), pa.scalar(None, pa.string()))
    ).combine_chunks()
    read = (extract.find_answer(text, fallback=False) for text in coded.dictionary.to_pylist())
    read = pa.array([answer.text if answer else None for answer in read], pa.string())
    return pc.coalesce(
        found.column("stated"), read.take(coded.indices), texts.column("answer")
    ).combine_chunks()


def answers_changed(con: duckdb.DuckDBPyConnection, before: pa.Table, after: pa.Table) -> int:
    """Number of rows whose final answer differs from one side to the other."""
    was, now = final_answers(con, before), final_answers(con, after)
    one_sided = pc.sum(pc.xor(pc.is_valid(was), pc.is_valid(now))).as_py() or 0
    unequal = pc.fill_null(pc.not_equal(was, now), False)
    pairs = pa.table({"was": was.filter(unequal), "now": now.filter(unequal)}).group_by(["was", "now"])
    counted = pairs.aggregate([([], "count_all")]).to_pylist()
    return one_sided + sum(p["count_all"] for p in counted if row_diff.answers_differ(p["was"], p["now"]))
