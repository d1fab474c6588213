"""`recast history`: one page on a name over time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import Names, argument, option
from recast.pipelines.terminal.text import counted

if TYPE_CHECKING:
    from recast.curate.curation.collapse import DiversityConfig
    from recast.curate.store.store import Store
    from recast.curate.store.versions import Version
    from recast.pipelines.config import Config
    from recast.pipelines.report.history_page import Learned, Moment
    from recast.pipelines.terminal.progress import Progress
    from recast.pipelines.wiring.story.trained import Trained


def job(
    name: Annotated[
        str,
        argument("A name: all its versions; or a version or branch: those that led to it.", metavar="NAME"),
        Names.VERSION,
    ],
    *,
    out: Annotated[Path, option("--out", "-o", help="The page."), Names.OUTPUT] = Path("history.html"),
    target: Annotated[
        list[str] | None,
        option("--target", help="Suite or task that tuning was for; repeat for more.", show_default=False),
    ] = None,
    sample: Annotated[
        int, option("--sample", help="Rows of each version on which diversity is measured.", min=2)
    ] = 1000,
    store: Store,
    config: Config,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Draw one page over the versions of NAME: size, acceptance, diversity, the gate's card, reviews, and gain and
    forgetting of the models that each version made, where evaluations in the store tell.

    The page needs no network and no other file. Measures that nothing is known about are left out, and the page says
    which command would fill them.
    """
    from dataclasses import asdict

    from recast.pipelines.report.history_page import write
    from recast.pipelines.wiring.story.trained import trained_on

    line = store.log(name)[::-1]
    tags = store.taggings()
    settings = config.section("diversity", sample=sample)
    models = trained_on(store, [version.id for version in line])
    moments: list[Moment] = []
    for version in line:
        made = [model for model in models if model.version_id == version.id and model.there]
        given = [each["tag"] for each in tags.get(version.id, []) if each["current"]]
        moments.append(_moment(store, version, given, made, target or [], settings))
        if progress:
            progress({"done": len(moments), "total": len(line)})
    out.parent.mkdir(parents=True, exist_ok=True)
    page = write(name, moments, out, created_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))
    return {"out": str(page), "versions": [asdict(moment) for moment in moments]}


def _moment(
    store: Store,
    version: Version,
    tags: list[str],
    models: list[Trained],
    target: list[str],
    settings: DiversityConfig,
) -> Moment:
    from recast.curate.gate import gate_files
    from recast.pipelines.report.history_page import Moment
    from recast.pipelines.wiring.story.figures import diversity, figures

    counted_rows = figures(store, version)
    varied = diversity(store, version, settings).after if version.rows > 1 else None
    cards = [
        (gate, card)
        for gate in counted_rows.gate_ids
        for card in gate_files.cards(store.root, gate, people=False)[:1]
    ]
    gate, card = cards[0] if cards else ("", None)
    rate = card["ensemble"]["false_accepts"] if card and card["ensemble"]["false_accepts"]["total"] else None
    changes = (("+", version.added), ("~", version.changed), ("-", version.removed))
    return Moment(
        ref=version.ref,
        number=version.number,
        branch=version.branch,
        rows=version.rows,
        changes=" ".join(f"{sign}{rows}" for sign, rows in changes if rows) or "none",
        author=version.author,
        created_at=version.created_at.strftime("%Y-%m-%d %H:%M"),
        message=version.message,
        tags=tuple(tags),
        rewritten=counted_rows.rewritten / counted_rows.tried if counted_rows.tried else None,
        accepted=counted_rows.accepted / counted_rows.candidates if counted_rows.candidates else None,
        nll_gain=counted_rows.nll_gain,
        distinct=varied.distinct_2 if varied else None,
        opening_entropy=varied.opening_entropy if varied else None,
        vendi=varied.vendi if varied else None,
        false_accepts=rate["share"] if rate else None,
        false_accepts_interval=tuple(rate["interval"]) if rate else None,
        gate=gate,
        reviewed=counted_rows.reviewed,
        corrected=counted_rows.corrected,
        models=tuple(_learned(model, target) for model in models),
    )


def _learned(model: Trained, target: list[str]) -> Learned:
    from recast.pipelines.report.history_page import Learned
    from recast.pipelines.wiring.story.trained import change_of

    change = change_of(model, target)
    if change is None:
        return Learned(Path(model.model).name)
    bounds: dict[str, Any] = {}
    for key in ("gain", "forgetting"):
        if found := change[key]:
            bounds |= {key: found["value"], f"{key}_interval": (found["low"], found["high"])}
    return Learned(Path(model.model).name, change["downstream"], **bounds)


def show(result: dict[str, Any], console: Any) -> None:
    models = sum(len(version["models"]) for version in result["versions"])
    told = f"{counted(len(result['versions']), 'version')}, {counted(models, 'model')}"
    console.print(f"{result['out']}: {told}", markup=False)
