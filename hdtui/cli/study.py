"""``hdtui study ...``: questions as graphs of runs, and what they say."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.config.overrides import parse_assignment, plain
from engine.config.study import StudyConfig, built_in_studies, load_study
from engine.errors import UsageError
from engine.text import counted
from hdtui.cli import completion
from hdtui.cli.follow import POLL_S, follow
from hdtui.cli.launch import check_robot_set
from hdtui.cli.options import Call, Detach, NoHome, Settings, grouped_options
from hdtui.cli.output import print_json, print_table, say
from hdtui.formatting import UNKNOWN, measure

if TYPE_CHECKING:
    from db.session import Database
    from engine.workers.studies.running import Plan

app = typer.Typer(
    no_args_is_help=True, help="Studies: a question as a graph of runs that ends in a verdict."
)
StudyWord = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE.toml",
        help="A built-in study, or a file that declares one.",
        autocompletion=completion.built_in_studies,
    ),
]
BegunStudy = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A study that was begun in this workspace.",
        autocompletion=completion.begun_studies,
    ),
]
Seeds = Annotated[
    int | None, typer.Option("--seeds", min=1, max=1000, help="How many seeds, from 1.")
]
SomePreset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="Base pipeline: smoke, quick, laptop or paper; else as declared.",
        autocompletion=completion.presets,
    ),
]
RobotSet = Annotated[
    str | None,
    typer.Option(
        "--robots",
        metavar="SET",
        help="Robot set to train on; else as declared, or new robots.",
        autocompletion=completion.robot_sets,
    ),
]
UnseenSet = Annotated[
    str | None,
    typer.Option(
        "--unseen",
        metavar="SET",
        help="Robot set that nobody trains on, with --robots.",
        autocompletion=completion.robot_sets,
    ),
]
StudyName = Annotated[
    str | None, typer.Option("--name", help="What the study is called; else as declared.")
]


@app.command("list")
@grouped_options()
def list_command(call: Call) -> None:
    """The studies that can be run, and those that were begun here."""
    from db.queries.studies import list_studies

    _, database = call.look()
    begun = [] if database is None else list_studies(database)
    known = {name: load_study(name) for name in built_in_studies()}
    if call.json:
        print_json(
            {
                "built_in": [
                    {"name": name, "question": each.question} for name, each in known.items()
                ],
                "begun": [
                    {
                        "name": each.name,
                        "question": each.document["question"],
                        "preset": each.document["preset"],
                        "seeds": each.document["seeds"],
                        "created_at": each.created_at,
                    }
                    for each in begun
                ],
            }
        )
        return
    for each in begun:
        seeds = counted(len(each.document["seeds"]), "seed")
        print(f"{each.name}  begun, {each.document['preset']}, {seeds}")
    print_table(["study", "question"], [[name, each.question] for name, each in known.items()])


@app.command("show")
@grouped_options(home=NoHome)
def show_command(call: Call, study: StudyWord) -> None:
    """What a study asks, varies, measures and compares."""
    declared = load_study(study)
    if call.json:
        print_json({**declared.model_dump(mode="json"), "combinations": _labels(declared)})
        return
    print(declared.question)
    print(f"preset {declared.preset}, seeds {' '.join(map(str, declared.seeds))}")
    for factor, levels in declared.factors.items():
        print(f"{factor}: {' '.join(levels)}")
    for factor, each in declared.ranges.items():
        kinds = each.model_dump(exclude_none=True, exclude={"setting"}).items()
        words = " ".join(f"{kind} {plain(value)}" for kind, value in kinds)
        print(f"{each.setting or factor}: {words}")
    if declared.ranges:
        search = declared.search
        print(f"searched by {search.sampler}, {search.trials} trials, {search.together} at once")
    for comparison in declared.comparisons():
        expected = f", {comparison.expected} is expected" if comparison.expected else ""
        print(
            f"compares {comparison.cell} with {comparison.against}:"
            f" {comparison.measure.label}{expected}"
        )
    if declared.comparisons():
        print(f"at equal {' '.join(declared.equal).replace('_', '-') or 'nothing'}")


@app.command("run")
@grouped_options()
def run_command(
    call: Call,
    study: StudyWord,
    preset: SomePreset = None,
    seeds: Seeds = None,
    robots: RobotSet = None,
    unseen: UnseenSet = None,
    settings: Settings = None,
    name: StudyName = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Compute anew what finished runs have already.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be run and reused; queue nothing.")
    ] = False,
    detach: Detach = False,
) -> None:
    """Queue what a study lacks, wait for its end, and write its report.

    Runs that differ in nothing are shared, with other studies as well. The same command again
    queues nothing; with more seeds or levels it queues those alone.
    """
    from engine.workers.studies.running import plan_study, run_study
    from hdtui.actions.studies import study_changes

    changes = study_changes(
        preset=preset,
        seeds=seeds,
        name=name,
        robots=robots,
        unseen=unseen,
        settings=dict(map(parse_assignment, settings or ())),
    )
    declared = load_study(study, changes)
    if dry_run:
        _print_plan(call, declared, fresh)
        return
    check_robot_set(call, declared.robots.training or None)
    check_robot_set(call, declared.robots.unseen or None)
    _, database = call.create()
    before = plan_study(database, declared, fresh=fresh)
    reused = sorted({run.id for run in before.runs.values()})
    plan, made = run_study(database, declared, fresh=fresh)
    say(f"study {declared.name}: {counted(made, 'run')} queued, {len(reused)} reused")
    counts = {"runs_made": made, "runs_reused": len(reused)}
    _end(call, database, plan, counts, detach=detach)


@app.command("extend")
@grouped_options()
def extend_command(
    call: Call,
    study: BegunStudy,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, max=1000, help="How many seeds in all.")
    ] = None,
    levels: Annotated[
        Path | None,
        typer.Option("--levels", metavar="FILE.toml", help="A file with more levels of factors."),
    ] = None,
    detach: Detach = False,
) -> None:
    """Run a begun study with more seeds, or with more levels; nothing is repeated."""
    from engine.config.overrides import read_toml
    from engine.workers.studies.running import extended, plan_study, run_study

    if seeds is None and levels is None:
        raise UsageError("extend needs --seeds N or --levels FILE.toml")
    _, database = call.existing("are no studies")
    changes = {} if levels is None else read_toml(levels)
    declared = extended(database, study, changes, seeds)
    reused = sorted({run.id for run in plan_study(database, declared).runs.values()})
    plan, made = run_study(database, declared)
    say(f"study {study}: {counted(made, 'run')} queued, {len(reused)} reused")
    counts = {"runs_made": made, "runs_reused": len(reused)}
    _end(call, database, plan, counts, detach=detach)


@app.command("status")
@grouped_options()
def status_command(call: Call, study: BegunStudy) -> None:
    """How far each cell of a study is, and what it measured so far."""
    from engine.workers.studies.running import begun_study
    from hdtui.data.studies import measured, status_document

    _, database = call.existing("are no studies")
    plan = begun_study(database, study)
    results = measured(database, plan)
    if call.json:
        print_json(status_document(plan, results))
        return
    print_matrix(plan, results)


@app.command("verdict")
@grouped_options()
def verdict_command(call: Call, study: BegunStudy) -> None:
    """What a study says so far, or why it says nothing yet."""
    from engine.workers.studies.running import begun_study
    from hdtui.data.studies import measured, search_document, verdict_document, verdict_of

    _, database = call.existing("are no studies")
    plan = begun_study(database, study)
    results = measured(database, plan)
    verdict = verdict_of(plan, results)
    if call.json:
        search = {"search": search_document(plan, results)} if plan.study.ranges else {}
        print_json({"study": study, **verdict_document(verdict), **search})
        return
    if plan.study.ranges:
        print(search_document(plan, results)["sentence"])
    for answer in verdict.answers:
        print(answer.sentence)


@app.command("report")
@grouped_options()
def report_command(
    call: Call,
    study: BegunStudy,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where to write it; else in the workspace."),
    ] = None,
) -> None:
    """Write a study's report: a Markdown page, figures (SVG, PDF), tables (CSV, LaTeX)."""
    from engine.files import expanded
    from engine.workers.studies.running import begun_study
    from hdtui.exports.study_report import write_study_report

    _, database = call.existing("are no studies")
    plan = begun_study(database, study)
    folder = None if out is None else expanded(out, "--out")
    path = write_study_report(database, plan, folder)
    if call.json:
        print_json({"study": study, "report": path})
    else:
        print(path)


@app.command("stop")
@grouped_options()
def stop_command(call: Call, study: BegunStudy) -> None:
    """Stop the runs of a study that no other study reads; `resume` lets them go on."""
    from engine.workers.studies.running import stop_study
    from hdtui.actions.studies import stopped_sentence

    _, database = call.existing("are no studies")
    stopped = stop_study(database, study)
    say(stopped_sentence(study, len(stopped)))
    if call.json:
        print_json({"study": study, "stopped": sorted(run.id for run in stopped)})


@app.command("resume")
@grouped_options()
def resume_command(
    call: Call,
    study: BegunStudy,
    detach: Detach = False,
) -> None:
    """Let the runs of a study go on that ended unfinished, and wait for the end."""
    from engine.workers.studies.running import begun_study, run_study

    _, database = call.existing("are no studies")
    before = begun_study(database, study)
    plan, made = run_study(database, before.study)
    counts = {"runs_made": made, "runs_reused": len({run.id for run in before.runs.values()})}
    say(f"study {study}: {counted(len(plan.unfinished), 'run')} left")
    _end(call, database, plan, counts, detach=detach)


def _labels(study: StudyConfig) -> list[str]:
    return [combination.label for combination in study.combinations()]


def _end(
    call: Call, database: Database, plan: Plan, counts: dict[str, int], *, detach: bool
) -> None:
    """Wait for a study's runs, write its report and print its verdict; exit 1 where runs failed."""
    from hdtui.data.studies import measured, status_document, verdict_document, verdict_of
    from hdtui.exports.study_report import write_study_report

    if not detach:
        plan = _followed(database, plan)
    results = measured(database, plan)
    document: dict[str, Any] = {**status_document(plan, results), **counts}
    if not detach:
        verdict = verdict_of(plan, results)
        document |= verdict_document(verdict)
        document["report"] = write_study_report(database, plan)
    if call.json:
        print_json(document)
    elif not detach:
        print_matrix(plan, results)
        for answer in verdict.answers:
            print(answer.sentence)
        print(document["report"])
    if not detach and plan.unfinished:
        raise typer.Exit(1)


def _followed(database: Database, plan: Plan) -> Plan:
    """A study whose runs have all ended; of a search no trial is left to ask for then."""
    from engine.errors import RunError
    from engine.workers.studies.running import begun_study
    from engine.workers.studies.search import advance

    more = True
    while more:
        more = bool(plan.study.ranges)
        if more:
            try:
                more = advance(database, plan.study.name)
            except RunError:  # the supervisor's child let it go on
                time.sleep(POLL_S)
            plan = begun_study(database, plan.study.name)
        unfinished = [run.id for run in plan.unfinished]
        if unfinished:
            follow(database, unfinished)
            plan = begun_study(database, plan.study.name)
        elif more:
            time.sleep(POLL_S)
    return plan


def _print_plan(call: Call, declared: StudyConfig, fresh: bool) -> None:
    """What running a study would do, of a workspace that need not be there."""
    from engine.workers.studies.running import plan_study, planned_in_empty_workspace
    from hdtui.data.studies import estimate, estimate_words, plan_document

    _, database = call.look()
    if database is None:
        plan, left = planned_in_empty_workspace(declared), None
    else:
        plan = plan_study(database, declared, fresh=fresh)
        left = estimate(database, plan.missing)
    document = {
        **plan_document(plan),
        "runs_made": len(plan.missing),
        "runs_reused": len({run.id for run in plan.runs.values()}),
        "estimate": None if left is None else asdict(left),
    }
    if call.json:
        print_json(document)
        return
    rows = [
        [
            str(node["kind"]),
            node["name"],
            "to be made" if node["run"] is None else f"run {node['run']} {node['state']}",
        ]
        for node in document["graph"]
    ]
    print_table(["kind", "name", "run"], rows)
    print(f"{document['runs_made']} runs to be made, {document['runs_reused']} reused")
    if plan.study.ranges:
        print(f"up to {plan.study.search.trials} trials follow, each from what those before were")
    if plan.missing:
        print(estimate_words(left))


def print_matrix(plan: Plan, results: Any) -> None:
    """Combinations by seeds: the first measure where a cell has it, else its state."""
    from hdtui.data.studies import value_of

    if plan.study.ranges:
        _print_search(plan, results)
        return
    first = plan.study.comparisons()[0].measure if plan.study.comparisons() else None
    chosen = first or plan.study.measured()[0]
    print(chosen.label)
    rows = []
    for label in _labels(plan.study):
        cells: list[str] = []
        for each in plan.study.seeds:
            result = results[label, each]
            value = value_of(result, chosen)
            state = f"{result.state} {result.progress:.0%}"
            cells.append(state if value is None else measure(value))
        rows.append([label, *cells])
    print_table(["setting", *(f"s{each}" for each in plan.study.seeds)], rows)


def _print_search(plan: Plan, results: Any) -> None:
    """Trials as they were tried, then the best and how much each setting matters."""
    from hdtui.data.studies import search_document

    found = search_document(plan, results)
    settings = list(dict.fromkeys(key for each in found["trials"] for key in each["settings"]))
    rows = [
        [
            each["name"],
            *(plain(each["settings"].get(key)) for key in settings),
            UNKNOWN if each["value"] is None else measure(each["value"]),
            each["state"],
            " ".join(map(str, each["runs"])),
        ]
        for each in found["trials"]
    ]
    print_table(["trial", *settings, found["measure"], "state", "runs"], rows)
    print(found["sentence"])
    if found["paused"]:
        print(f"It is paused; `hdtui study resume {plan.study.name}` lets it go on.")
    if found["importance"]:
        shares = "  ".join(f"{key} {share:.0%}" for key, share in found["importance"].items())
        print(f"what matters: {shares}")
