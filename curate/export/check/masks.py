"""Which tokens of a line each trainer trains: our account of its loader, held against the real ones by tests.

    example = MASKS["mlx"](line, tokenizer, "last")
    example.ids, example.trained          # as many truth values as tokens

Every function takes a line as the export wrote it and renders it with the tokenizer's chat template in the way that the
trainer does: some tokenise the whole conversation once, some message by message, some text by text, and the last tokens
of a turn differ between them. Nothing is cut here (`measure` does that). The tokenizer is duck-typed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from recast.curate.export.check.rendering import (
    Example,
    NotRead,
    after,
    assistants,
    common,
    has_marks,
    ids_of,
    spans,
    split_turns,
    text_of,
    tools_of,
    with_marks,
)
from recast.curate.export.formats import Line, Turns, arguments_as_objects, arguments_as_text
from recast.curate.records import Messages

Mask = Callable[[Line, Any, Turns], Example]


def trl(line: Line, tokenizer: Any, train: Turns) -> Example:
    tools = tools_of(line)
    if "messages" in line:
        return with_marks(
            tokenizer, line["messages"], tools, None if has_marks(tokenizer) else _patched(tokenizer)
        )
    asked_ids = ids_of(tokenizer, line["prompt"], tools, asks=True)
    ids = ids_of(tokenizer, [*line["prompt"], *line["completion"]], tools)
    return after(ids, common(asked_ids, ids))


def _patched(tokenizer: Any) -> str:
    """The template with generation markers that TRL puts in the place of one that it knows."""
    try:
        from trl.chat_template_utils import get_training_chat_template

        return get_training_chat_template(tokenizer) or tokenizer.chat_template
    except (ImportError, ValueError) as unknown:
        raise NotRead(
            "the chat template has no generation markers, and TRL knows none for it; say --turns last"
        ) from unknown


def verl(line: Line, tokenizer: Any, train: Turns) -> Example:
    """Each message rendered by itself; what the template puts before every lone message is taken off again."""
    one = ids_of(tokenizer, [{"role": "user", "content": ""}])
    two = ids_of(tokenizer, [{"role": "user", "content": ""}] * 2)
    before = one[: -(len(two) - len(one))] if len(two) > len(one) else one
    asks = ids_of(tokenizer, [{"role": "user", "content": ""}], asks=True)[len(one) :]
    ids: list[int] = []
    trained: list[bool] = []
    for n, turn in enumerate(line["messages"]):
        piece = ids_of(tokenizer, [turn], tools_of(line) if n == 0 else None)
        if n and turn["role"] != "system":
            piece = piece[len(before) :]
        said = turn["role"] == "assistant"
        ids += piece
        trained += [said and m >= len(asks) for m in range(len(piece))]
    if ids != ids_of(tokenizer, line["messages"], tools_of(line)):
        raise NotRead("its turns rendered one by one are not the conversation, on which verl raises")
    return Example(ids, trained)


def openrlhf(line: Line, tokenizer: Any, train: Turns) -> Example:
    """Text sliced at turns; an end token is put at the end where the text has none."""
    turns = line["messages"] if train == "all" else [*line["input"], *line["output"]]
    text = text_of(tokenizer, turns).rstrip("\n")
    if not text.endswith(tokenizer.eos_token):
        text += " " + tokenizer.eos_token
    ids = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    ids[-1] = tokenizer.eos_token_id
    trained = [False] * len(ids)
    for n in assistants(turns) if train == "all" else [len(turns) - 1]:
        asks = text_of(tokenizer, turns[:n], asks=True)
        start = len(tokenizer(asks, add_special_tokens=False)["input_ids"])
        if train == "last":
            end = len(ids)
        else:
            said = text_of(tokenizer, turns[: n + 1])[len(asks) :]
            end = start + len(tokenizer(said, add_special_tokens=False)["input_ids"])
        trained[start:end] = [True] * len(trained[start:end])
    return Example(ids, trained)


def open_instruct(line: Line, tokenizer: Any, train: Turns) -> Example:
    found = assistants(line["messages"])
    return spans(tokenizer, line["messages"], tools_of(line), found if train == "all" else found[-1:])


def axolotl(line: Line, tokenizer: Any, train: Turns) -> Example:
    """What of the text changes when a turn says something else, and the end token within three tokens of it."""
    turns = [{k: v for k, v in turn.items() if k != "training"} for turn in line["messages"]]
    turns, tools = arguments_as_objects(turns), tools_of(line)
    text = text_of(tokenizer, turns, tools)
    done = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = list(done["input_ids"]), done["offset_mapping"]
    trained = [False] * len(ids)
    for n in assistants(turns):
        if not line["messages"][n].get("training"):
            continue
        begin, end = len(text), 0
        for other in ("[[dummy_message]]", "zzdummymessagezz"):
            changed = text_of(
                tokenizer, [*turns[:n], {"role": "assistant", "content": other}, *turns[n + 1 :]], tools
            )
            start = next(
                (k for k, (x, y) in enumerate(zip(text, changed, strict=False)) if x != y), len(text)
            )
            most = min(len(text), len(changed)) - start
            same = next((k for k in range(most) if text[-1 - k] != changed[-1 - k]), most)
            begin, end = min(begin, start), max(end, len(text) - same)
        inside = [m for m, (a, b) in enumerate(offsets) if a < b and a < end and begin < b]
        for m in inside:
            trained[m] = True
        stop = inside[-1] + 1 if inside else -1
        ended = next((m for m in range(stop, len(ids)) if ids[m] == tokenizer.eos_token_id), -1)
        if inside and ended != -1 and ended - stop <= 3:
            trained[ended] = True
    return Example(ids, trained)


def llamafactory(line: Line, tokenizer: Any, train: Turns) -> Example:
    """Slots that are read off the chat template, filled and tokenised one by one."""
    slot = "{{content}}"

    def shown(turns: Messages, *, asks: bool = False) -> str:
        return text_of(tokenizer, turns, asks=asks)[len(prefix) :]

    prefix = tokenizer.decode(tokenizer.encode(""))
    system_slot = shown([{"role": "system", "content": slot}])
    bare = shown([{"role": "system", "content": ""}, {"role": "user", "content": slot}], asks=True)
    user_slot = shown([{"role": "user", "content": slot}], asks=True)
    said = shown([{"role": "user", "content": slot}, {"role": "assistant", "content": slot}])[
        len(user_slot) :
    ]
    if "<think>" in said:
        raise NotRead("the template of a reasoning model; its thoughts are put in by LLaMA-Factory itself")
    default = ""
    if len(user_slot) > len(bare):
        default = _inserted(bare, user_slot)
        user_slot = user_slot[len(system_slot.replace(slot, default, 1)) :]
    turns = line["messages"]
    system = turns[0]["content"] if turns[0]["role"] == "system" else default
    spoken = turns[1:] if turns[0]["role"] == "system" else turns
    encode = lambda text: list(tokenizer(text, add_special_tokens=False)["input_ids"])  # noqa: E731
    ids: list[int] = []
    trained: list[bool] = []
    for n in range(0, len(spoken), 2):
        head = prefix * (n == 0) + (system_slot.replace(slot, system, 1) if n == 0 and system else "")
        asks = encode(head) + encode(user_slot.replace(slot, spoken[n]["content"], 1))
        answer = encode(said.lstrip("\n").replace(slot, spoken[n + 1]["content"], 1))
        learnt = train == "all" or n + 2 == len(spoken)
        ids += asks + answer
        trained += [False] * len(asks) + [learnt] * len(answer)
    return Example(ids, trained)


def _inserted(short: str, long: str) -> str:
    """What stands in `long` and not in `short`, letter by letter."""
    found, m = "", 0
    for letter in long:
        if m < len(short) and short[m] == letter:
            m += 1
        else:
            found += letter
        if m == len(short):
            break
    return found


def mlx(line: Line, tokenizer: Any, train: Turns) -> Example:
    turns, tools = line["messages"], tools_of(line)
    return after(ids_of(tokenizer, turns, tools), len(ids_of(tokenizer, turns[:-1], tools, asks=True)))


def automodel(line: Line, tokenizer: Any, train: Turns) -> Example:
    """The template's markers, or prefixes of the conversation without the header; `mask_history` keeps the last run."""
    turns, tools = _with_text_arguments(line["messages"]), tools_of(line)
    if has_marks(tokenizer):
        example = with_marks(tokenizer, turns, tools)
    else:
        example = spans(tokenizer, turns, tools, assistants(turns))
    if train == "all":
        return example
    trained, keep = list(example.trained), False
    for n in reversed(range(len(trained))):
        if trained[n]:
            keep = True
        elif keep:
            trained[:n] = [False] * n
            break
    return Example(example.ids, trained)


def _with_text_arguments(turns: Messages) -> Messages:
    return [turn | {"content": turn.get("content") or ""} for turn in arguments_as_text(turns)]


def nemo_rl(line: Line, tokenizer: Any, train: Turns) -> Example:
    """Turns as what each adds to the rendered conversation, header and all."""
    found = assistants(line["messages"])
    chosen = found if train == "all" else found[-1:]
    return spans(tokenizer, line["messages"], tools_of(line), chosen, header=True)


def unsloth(line: Line, tokenizer: Any, train: Turns) -> Example:
    """As `spans`, without the white space that a template puts after the end of a turn."""
    found = assistants(line["messages"])
    example = spans(tokenizer, line["messages"], None, found if train == "all" else found[-1:])
    trained = list(example.trained)
    for n in reversed(range(len(trained))):
        ends = n + 1 == len(trained) or not trained[n + 1]
        if trained[n] and ends and not tokenizer.decode([example.ids[n]]).strip():
            trained[n] = False
    return Example(example.ids, trained)


def prime_rl(line: Line, tokenizer: Any, train: Turns) -> Example:
    turns = arguments_as_objects(line["messages"])
    return spans(tokenizer, turns, tools_of(line), assistants(turns))


def pair(line: Line, tokenizer: Any, train: Turns) -> Example:
    """A prompt and its completion, whatever the trainer: what comes after the prompt trains."""
    prompt, said = split_turns(line)
    return spans(tokenizer, [*prompt, *said], tools_of(line), [len(prompt)])


def strings(line: Line, tokenizer: Any, train: Turns) -> Example:
    turns = [
        {"role": "user", "content": line["prompt"]},
        {"role": "assistant", "content": line["completion"]},
    ]
    return spans(tokenizer, turns, None, [1])


def every(line: Line, tokenizer: Any, train: Turns) -> Example:
    """Every turn of the assistant, as readers of `messages` do."""
    return spans(tokenizer, line["messages"], tools_of(line), assistants(line["messages"]))


MASKS: dict[str, Mask] = {
    "messages": every,
    "prompt-completion": pair,
    "prompt-completion-strings": strings,
    "trl": trl,
    "verl": verl,
    "openrlhf": openrlhf,
    "axolotl": axolotl,
    "llamafactory": llamafactory,
    "open-instruct": open_instruct,
    "mlx": mlx,
    "nemo-rl": nemo_rl,
    "nemo-automodel": automodel,
    "prime-rl": prime_rl,
    "unsloth": unsloth,
}
"""SFT by format. torchtune renders turns by its model's own tokenizer, OpenAI tells nobody how: they are not here."""
