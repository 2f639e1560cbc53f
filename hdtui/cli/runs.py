"""``hdtui runs ...``: list, look at, stop, resume, describe and delete runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from math import isinf
from typing import TYPE_CHECKING, Annotated

import typer

from db.records import RunState
from engine.errors import RunError
from hdtui.cli import completion
from hdtui.cli.options import Call, grouped_options, known_name, no_workspace
from hdtui.cli.output import print_json, print_table, safe, say, terminal_width
from hdtui.cli.run_text import print_run, run_summary
from hdtui.data.columns import RUN_COLUMNS, listing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


app = typer.Typer(no_args_is_help=True, help="Past and present runs.")
RunId = Annotated[
    int,
    typer.Argument(metavar="RUN", min=1, help="Number of a run.", autocompletion=completion.runs()),
]
OfSeed = Annotated[
    int | None, typer.Option("--seed", min=0, max=2**31 - 1, help="Only runs of this seed.")
]
RunIds = Annotated[
    list[int],
    typer.Argument(
        metavar="RUN...", min=1, help="Numbers of runs.", autocompletion=completion.runs()
    ),
]


@app.command("list")
@grouped_options(seed=OfSeed)
def list_command(
    call: Call,
    words: Annotated[
        str,
        typer.Option(
            "--filter",
            metavar="WORDS",
            help="As in the filter of the screens: 'kind:teacher return>100 -tag:old'.",
            autocompletion=completion.run_filter,
        ),
    ] = "",
    state: Annotated[
        str | None,
        typer.Option("--state", help="Only runs in this state.", autocompletion=completion.states),
    ] = None,
    pipeline: Annotated[
        int | None,
        typer.Option("--pipeline", help="Only this pipeline.", autocompletion=completion.pipelines),
    ] = None,
    archived: Annotated[bool, typer.Option("--archived", help="Archived runs too.")] = False,
) -> None:
    """Runs, newest first."""
    from engine.workers.machines import SILENT_AFTER_S
    from hdtui.data.run_list import filtered_runs
    from hdtui.data.run_views import surroundings

    if state is not None:
        known_name(state, [one.value for one in RunState], "state")
    workspace, database = call.look()
    if database is None:
        say(no_workspace(workspace.home))
    runs = filtered_runs(database, words, archived=archived)
    chosen = [
        run
        for run in runs
        if (state is None or run.state.value == state)
        and (pipeline is None or run.pipeline == pipeline)
        and (call.seed is None or run.seed == call.seed)
    ]
    elsewhere = surroundings(database, _now()).elsewhere if database else {}
    if call.json:
        heard = {"runs": [run_summary(run) | _heard(elsewhere.get(run.id)) for run in chosen]}
        print_json(heard)
        return
    silent = {run.host for run in chosen if elsewhere.get(run.id, 0.0) >= SILENT_AFTER_S}
    for host in sorted(silent):
        say(f"{host} is not heard of any more; `hdtui runs lost {host}` writes its runs off")
    names = ("id", "kind", "name", "state", "progress", "outcome")
    print_table([*names[:-1], "result"], listing(chosen, RUN_COLUMNS, names), terminal_width())


@app.command("show")
@grouped_options()
def show_command(call: Call, run: RunId) -> None:
    """One run: state, settings, lineage, checkpoints and artifacts."""
    from db.queries.artifacts import list_artifacts, list_checkpoints
    from db.queries.runs import dependants, get_run
    from engine.morphology.poses import ARTIFACT_KIND
    from engine.workers.observed import observed
    from engine.workers.studies.running import studies_of
    from hdtui.data.run_states import SHELL_COMMANDS, view
    from hdtui.data.run_views import surroundings

    workspace, database = call.existing()
    record = observed(database, [get_run(database, run)])[0]
    studies = studies_of(database, run)
    now = _now()
    around = replace(surroundings(database, now), orders=SHELL_COMMANDS)
    sentence = view(record, around).sentence
    checkpoints = list_checkpoints(database, run)
    artifacts = list_artifacts(database, run)
    readers = [dependant.id for dependant in dependants(database, run)]
    if call.json:
        print_json(
            {
                **run_summary(record),
                **_heard(around.elsewhere.get(run)),
                "sentence": sentence,
                "folder": workspace.home / record.folder,
                "config": dict(record.config),
                "versions": dict(record.versions),
                "dependants": readers,
                "studies": studies,
                "checkpoints": checkpoints,
                "artifacts": artifacts,
            }
        )
        return
    print_run(record, sentence, workspace.home, readers, studies, now)
    recordings = [item for item in artifacts if item.kind == ARTIFACT_KIND]
    files = [(item.path, item.size_bytes, item.sha256) for item in checkpoints]
    files += [
        (item.path, item.size_bytes, item.sha256)
        for item in artifacts
        if item.kind != ARTIFACT_KIND
    ]
    print_table(
        ["file", "size", "sha256"], [[path, str(size), sha256[:16]] for path, size, sha256 in files]
    )
    if recordings:
        size = sum(item.size_bytes for item in recordings)
        print(f"{len(recordings)} recorded episodes, {size} bytes")


@app.command("logs")
@grouped_options()
def logs_command(
    call: Call,
    run: RunId,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Last lines.")] = 200,
) -> None:
    """The end of a run's log."""
    from db.queries.runs import get_run

    workspace, database = call.existing()
    path = workspace.home / get_run(database, run).folder / "log.txt"
    if not path.is_file():
        raise RunError(f"run {run}: log.txt is missing: {path}; it appears when the worker starts")
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    if call.json:
        print_json({"run": run, "path": path, "lines": text})
    else:
        print(safe("\n".join(text)))


@app.command("metrics")
@grouped_options()
def metrics_command(
    call: Call,
    run: RunId,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="Only these; default all.", autocompletion=completion.metrics),
    ] = None,
    robots: Annotated[bool, typer.Option("--robots", help="Per-robot curves too.")] = False,
) -> None:
    """Curves of a run: step, iteration, seconds and value of every point.

    In JSON, values that are not finite are the texts NaN, Infinity and -Infinity.
    """
    from db.queries.metrics import list_series, read_points
    from db.queries.runs import get_run

    _, database = call.existing()
    get_run(database, run)
    found = [one for one in list_series(database, run) if robots or one.robot_digest is None]
    check_metric_names(run, name or [], {one.name for one in found})
    series = [one for one in found if not name or one.name in name]
    if call.json:
        curves = []
        for one in series:
            points = read_points(database, one.id, max_points=10_000_000).every_point()
            columns = ("step", "iteration", "wall_s", "value")
            of_points = {name: [getattr(each, name) for each in points] for name in columns}
            curves.append({"name": one.name, "robot": one.robot_digest, **of_points})
        print_json({"run": run, "metrics": curves})
        return
    print_table(
        ["metric", "step", "value"],
        [
            [
                one.name if one.robot_digest is None else f"{one.name} {one.robot_digest[:8]}",
                str(one.last_step),
                "·" if one.last_value is None else f"{one.last_value:.6g}",
            ]
            for one in series
        ],
    )


def check_metric_names(run: int, names: Iterable[str], known: Collection[str]) -> None:
    """See that a run has reported all of these metrics.

    Raises:
        RunError: One is missing.
    """
    missing = [name for name in names if name not in known]
    if missing:
        there_are = ", ".join(sorted(known)) or "none"
        raise RunError(f"run {run}: no metric {', '.join(missing)}; it has {there_are}")


def _now() -> datetime:
    return datetime.now().astimezone()


def _heard(silent_s: float | None) -> dict[str, float | None]:
    """For how long nothing was heard of a run's machine; nothing to say of this one's."""
    return {"silent_s": None if silent_s is None or isinf(silent_s) else silent_s}
