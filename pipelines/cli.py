"""The `recast` command. Owns words, exit codes and options common to all verbs; jobs do the work.

A verb's options are the parameters of its job (`pipelines.verbs`), so the command line, a stages file and
a caller in Python mean the same thing. Only the module of the verb that is asked for is imported:
`recast --help` loads neither torch nor DuckDB.

Data go to stdout, words to stderr; with `--json` stdout holds one JSON document, errors included.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from recast.curate.errors import RecastError, UsageError
from recast.pipelines.exit_codes import (
    DISK_FULL,
    EPILOG,
    FAILED_ROWS,
    INTERRUPTED,
    OK,
    UNEXPECTED,
    disk_full,
    no_access,
)
from recast.pipelines.options import DEFAULT_STORE, STORE_ENV, usual_store
from recast.pipelines.terminal import plain_values
from recast.pipelines.verbs import GROUPS, MEANT, PANELS, VERBS, Verb

if TYPE_CHECKING:
    from recast.pipelines.config import Config

COMMON: dict[str, Any] = {
    "as_json": (Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")], False),
    "config_files": (
        Annotated[
            list[Path] | None,
            typer.Option(
                "--config", "-c", help="Config file; later ones win.", metavar="FILE", show_default=False
            ),
        ],
        None,
    ),
    "sets": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--set", help="One setting, e.g. sft.lr=1e-4.", metavar="KEY=VALUE", show_default=False
            ),
        ],
        None,
    ),
    "store_path": (
        Annotated[
            Path, typer.Option("--store", help="Folder of the store.", envvar=STORE_ENV, metavar="DIR")
        ],
        Path(DEFAULT_STORE),
    ),
    "fresh": (
        Annotated[bool, typer.Option("--fresh", help="Start over instead of going on where it stopped.")],
        False,
    ),
    "quiet": (Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no words.")], False),
}


class Parts(plain_values.PlainValues, typer.core.TyperGroup):
    """Lists verbs by the parts they belong to where no terminal draws panels, too."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        listed = [command for name in self.list_commands(ctx) if (command := self.get_command(ctx, name))]
        width = max(len(str(command.name)) for command in listed)
        for panel in PANELS.values():
            rows = [
                (f"{command.name:<{width}}", command.get_short_help_str(formatter.width))
                for command in listed
                if getattr(command, "rich_help_panel", None) == panel
            ]
            if rows:
                with formatter.section(panel):
                    formatter.write_dl(rows)


def build(wanted: str) -> typer.Typer:
    """The application with all verbs listed and only `wanted` imported."""
    rich = sys.stdout.isatty()
    app = typer.Typer(
        name="recast",
        cls=Parts,
        help="Turns expert demonstrations into supervision that the model being trained could have written itself.",
        epilog=EPILOG,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if rich else None,
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
    )

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None: ...

    groups = {"": app}
    for verb in VERBS.values():
        function = command(verb) if verb.name == wanted else _listed
        text = f"{inspect.getdoc(function)}\n\nExample:\n\n    {verb.example}"
        first, _, word = verb.name.rpartition(" ")
        if first not in groups:
            said, panel = GROUPS[first]
            groups[first] = typer.Typer(cls=Parts, help=said, rich_markup_mode="rich" if rich else None)
            app.add_typer(groups[first], name=first, rich_help_panel=panel)
        groups[first].command(
            word,
            cls=plain_values.Command,
            help=text.replace("[", "\\[") if rich else text,
            short_help=verb.help,
            rich_help_panel=verb.panel,
        )(function)
    return app


def command(verb: Verb) -> Any:
    """The function that typer calls for a verb: the job's parameters and the common ones."""
    from recast.pipelines.run.arguments import parameters

    own = parameters(verb)
    # an option that would have no effect is not offered
    handed_in = inspect.signature(verb.job).parameters
    offered = {"as_json", "quiet"}
    offered |= (
        {"config_files", "sets"}
        if verb.sections or "config" in handed_in or {"model", "gate"} & set(own)
        else set()
    )
    offered |= {"store_path"} if verb.has_run or "store" in handed_in else set()
    offered |= {"fresh"} if verb.has_run else set()
    common = {
        name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in COMMON.items()
        if name in offered
    }

    def call(**values: Any) -> None:
        shared = {name: values.pop(name) for name in common}
        raise typer.Exit(_perform(verb, values, **shared))

    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own.values()]
    call.__signature__ = inspect.Signature([*keyword, *common.values()])  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in [*keyword, *common.values()]}
    call.__doc__ = inspect.getdoc(verb.job) or verb.help
    return call


def _perform(
    verb: Verb,
    args: dict[str, Any],
    *,
    as_json: bool = False,
    config_files: list[Path] | None = None,
    sets: list[str] | None = None,
    store_path: Path | None = None,
    quiet: bool = False,
    fresh: bool = False,
) -> int:
    """Run the verb; say its result or its error; return the exit code."""
    from recast.pipelines.run import runs
    from recast.pipelines.terminal import progress

    runs.quiet_libraries()
    handed_in = inspect.signature(verb.job).parameters
    reporter = progress.reporter(quiet=quiet or not {"progress", "reporter"} & set(handed_in))
    try:
        with _stdout_to_stderr(), contextlib.ExitStack() as stack:
            report = None
            if "progress" in handed_in:
                report = stack.enter_context(progress.reporting(verb.name, reporter))
            outcome = runs.execute(
                verb.name,
                args,
                store=store_path or usual_store(),
                config=_settings(config_files or [], sets or []),
                progress=report,
                reporter=reporter,
                fresh=fresh,
            )
        reporter.close()
    except KeyboardInterrupt:
        reporter.close()
        sys.unraisablehook = lambda _: None  # writers that were cut short complain while they are collected
        return _fail(
            as_json,
            INTERRUPTED,
            "interrupted",
            "interrupted. What is finished stands; the same command goes on.",
        )
    except RecastError as error:
        reporter.close()
        return _fail(as_json, error.exit_code, type(error).__name__, str(error))
    except Exception as error:
        reporter.close()
        if full := disk_full(error):
            return _fail(as_json, DISK_FULL, "disk_full", full)
        if refused := no_access(error):
            return _fail(as_json, UsageError.exit_code, "no_access", refused)
        traceback.print_exc()
        return _fail(as_json, UNEXPECTED, type(error).__name__, f"unexpected {type(error).__name__}: {error}")
    if outcome.found and not quiet:
        assert outcome.run is not None
        print(
            f"found finished in {outcome.run.folder} ({outcome.seconds:.0f} s); --fresh does it again",
            file=sys.stderr,
        )
    module = verb.load()
    if as_json:
        print(json.dumps(outcome.result, indent=2, ensure_ascii=False, default=str))
    else:
        _show(module, outcome.result)
    if hasattr(module, "exit_code"):
        return module.exit_code(outcome.result)
    return FAILED_ROWS if outcome.result.get("failed_rows") else OK


def _settings(files: list[Path], sets: list[str]) -> Config | None:
    if not files and not sets:
        return None  # the defaults, which many verbs need not even load
    from recast.pipelines.config import Config

    return Config.load(files, sets)


def _show(module: Any, result: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if hasattr(module, "show"):
        module.show(result, console)
        return
    for key, value in result.items():
        console.print(f"{key}: {value}", markup=False)


def _fail(as_json: bool, code: int, kind: str, message: str) -> int:
    if as_json:
        print(
            json.dumps({"error": {"type": kind, "message": message, "exit_code": code}}, ensure_ascii=False)
        )
    print(f"recast: {message}", file=sys.stderr)
    return code


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """stdout is for the result: what libraries print meanwhile goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _listed() -> None:
    """Stands for a verb that was not asked for."""


def _print_version(asked: bool) -> None:
    if asked:
        from recast.pipelines.run.runs import recast_version

        print(f"recast {recast_version()}")
        raise typer.Exit


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the `recast` command."""
    args = list(sys.argv[1:] if argv is None else argv)
    if (
        args
        and args[0] in MEANT
        and " ".join(args[:2]) not in VERBS
        and args[1:2] not in (["--help"], ["-h"])
    ):
        args.insert(1, MEANT[args[0]])
    if not args or (len(args) == 1 and args[0] in GROUPS):
        args.append("--help")
    words = [a for a in args if not a.startswith("-")]
    wanted = " ".join(words[: 2 if words[:1] and words[0] in GROUPS else 1])
    try:
        build(wanted)(args=args, prog_name="recast")
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


if __name__ == "__main__":
    main()
