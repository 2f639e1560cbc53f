"""Commands that compare: efficiency, compare and claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import UsageError
from hdtui.cli import completion
from hdtui.cli.options import Call, grouped_options, known_name
from hdtui.cli.output import print_json, print_table, safe
from hdtui.data.child_tool import run_tool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.evaluation.statistics import Estimate
    from hdtui.data.compare_returns import Comparison


@dataclass(frozen=True)
class CostOptions:
    """What is counted: policies on a task, for how many limbs, timed or not."""

    task: Annotated[
        str,
        typer.Option(
            "--task",
            help="flat, variable or obstacles.",
            autocompletion=completion.words("flat", "variable", "obstacles"),
        ),
    ] = "flat"
    limbs: Annotated[
        int | None,
        typer.Option("--limbs", min=1, max=100, help="Limb slots, the head's too; else 12."),
    ] = None
    latency: Annotated[
        bool, typer.Option("--latency", help="Measure as well: batch 1, one thread, interleaved.")
    ] = False
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Count for every 2 to 24 limb slots.")
    ] = False
    policies: Annotated[
        list[str] | None,
        typer.Option(
            "--policies",
            metavar="NAME|RUN,...",
            help="Published policies or runs.",
            autocompletion=completion.networks,
        ),
    ] = None

    def count(self, call: Call) -> dict[str, Any]:
        """The answer of the counting tool; where scaling is asked for also as curves over limbs.

        Raises:
            UsageError: A task, policy or combination of options that does not exist.
        """
        from hdtui.data.efficiency import TASKS, cost_curves, cost_question

        known_name(self.task, TASKS, "task")
        _, database = call.look() if self.policies else (None, None)
        asked = cost_question(
            database,
            self.policies or [],
            self.task,
            limbs=self.limbs,
            latency=self.latency,
            scaling=self.scaling,
        )
        document = run_tool("efficiency", asked)
        return {**document, "curves": cost_curves(document["rows"])} if self.scaling else document


def register(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.command("efficiency")(efficiency_command)
    app.command("compare")(compare_command)
    app.command("claims")(claims_command)


@grouped_options()
def efficiency_command(call: Call, costs: CostOptions) -> None:
    """What one action costs: parameters, multiply-adds, latency, and ratios to the base MLP."""
    document = costs.count(call)
    if call.json:
        print_json(document)
        return
    if costs.scaling:
        _print_curves(document["curves"])
    else:
        _print_costs(document)
    print(document["convention"])


def _print_costs(document: Mapping[str, Any]) -> None:
    from hdtui.data.efficiency import BASE
    from hdtui.formatting import amount, times

    def row(each: Mapping[str, Any]) -> list[str]:
        itself = {"parameters": 1.0, "macs": 1.0}
        ratios = document["ratios"].get(each["policy"], itself)
        latency = each["latency_us"]
        wall = [f"{latency[name]:.0f}" if latency else "·" for name in ("p50", "p95")]
        return [
            each["policy"],
            amount(each["parameters"]),
            times(ratios.get("parameters")),
            amount(each["macs"]),
            times(ratios.get("macs")),
            *wall,
            times(ratios.get("latency")),
            f"{latency['cpu']:.0f}" if latency else "·",
            times(ratios.get("cpu")),
        ]

    rows = document["rows"]
    print(f"one action on {rows[0]['task']}, {rows[0]['limbs']} limb slots")
    measured = ["p50 us", "p95 us", "p50 ratio", "CPU us", "CPU ratio"]
    headings = ["policy", "parameters", "par. ratio", "MACs", "MAC ratio", *measured]
    print_table(headings, map(row, rows))
    if document["ratios"]:
        shown = "" if any(each["policy"] == BASE for each in rows) else ", which is not shown"
        print(f"ratios are over the published {BASE}{shown}")
    for runtime, each in document.get("runtimes", {}).items():
        wall = f"p50 {each['p50']:.0f} us, p95 {each['p95']:.0f} us"
        print(f"base-mlp in {runtime}: {wall}, CPU {each['cpu']:.0f} us")


def _print_curves(curves: Mapping[str, Mapping[str, Any]]) -> None:
    from hdtui.formatting import amount, times

    limbs = next(iter(curves.values()))["limbs"]
    print(
        "multiply-adds of one action by limb slots (the head has one),"
        " and their ratio to the base MLP's"
    )
    headings = [heading for policy in curves for heading in (policy, "ratio")]
    rows = []
    for place, number in enumerate(limbs):
        cells = [str(number)]
        for curve in curves.values():
            ratios = curve.get("macs_ratio")
            cells += [amount(curve["macs"][place]), times(ratios[place] if ratios else None)]
        rows.append(cells)
    print_table(["slots", *headings], rows)


def counted_claims(call: Call) -> dict[str, Any]:
    """The claims, sizes counted now and returns from the workspace's evaluations."""
    from hdtui.data.claim_evidence import Evidence, claims, read_evidence
    from hdtui.data.claims import claim_document
    from hdtui.data.efficiency import claims_question, headline_ratios

    _, database = call.look()
    counted = run_tool("efficiency", claims_question())
    evidence = Evidence((), (), ()) if database is None else read_evidence(database)
    ratios = [headline_ratios(counted, quantity) for quantity in ("parameters", "macs")]
    return {
        "claims": [claim_document(each) for each in claims(evidence, *ratios)],
        "convention": counted["tasks"]["flat"]["convention"],
    }


@grouped_options()
def claims_command(call: Call) -> None:
    """The claims of the paper: target, our figure and where it comes from, verdict."""
    found = counted_claims(call)
    if call.json:
        print_json(found)
        return
    claims = found["claims"]
    names = ("claim", "target", "here", "verdict")
    rows = [
        [*[each[name] for name in names], " ".join(map(str, each["runs"])) or "·"]
        for each in claims
    ]
    print_table([*names, "runs"], rows)
    for each in claims:
        if each["reason"]:
            print(f"{each['claim']}: {each['reason']}")
    good = sum(each["verdict"] == "reproduced" for each in claims)
    print(f"{good} of {len(claims)} reproduced · counting: {found['convention']}")


@grouped_options()
def compare_command(
    call: Call,
    runs: Annotated[
        list[int],
        typer.Argument(
            metavar="RUN...",
            min=1,
            help="Two runs or more.",
            autocompletion=completion.runs(),
        ),
    ],
) -> None:
    """Runs side by side: returns, differences on the same robots and seeds, settings."""
    from hdtui.data.compare_returns import compare

    if len(set(runs)) < 2:
        raise UsageError("compare needs two runs or more; `hdtui runs list` shows all")
    _, database = call.existing()
    found = compare(database, runs)
    if call.json:
        from hdtui.data.compare_returns import comparison_document

        print_json(comparison_document(found))
    else:
        _print_comparison(found)


_ROBOTS = {"train": "trained robots", "unseen": "unseen robots", "robots": "robots"}


_ESTIMATES = {
    "return": "mean",
    "trained": "trained",
    "unseen": "unseen",
    "other": "other",
    "gap": "generalization_gap",
}


def _print_comparison(found: Comparison) -> None:
    everything = [each for _, returns in found.subjects for each in returns]
    shown = {
        heading: name
        for heading, name in _ESTIMATES.items()
        if heading in ("trained", "unseen") or any(getattr(each, name) for each in everything)
    }
    rows = [
        [
            subject.label,
            subject.run.name,
            each.task,
            str(each.robots),
            *(_words(getattr(each, name)) for name in shown.values()),
            " ".join(map(str, each.evaluations)),
        ]
        for subject, returns in found.subjects
        for each in returns
    ]
    print_table(["policy", "run", "task", "robots", *shown, "evaluations"], rows)
    for subject, returns in found.subjects:
        if not returns:
            last = found.training_returns.get(subject.run.id)
            learning = "" if last is None else f"; its last training return was {last:.0f}"
            print(safe(f"{subject.label}: no evaluation yet{learning}"))
    for group in found.groups:
        if len(group.runs) > 1:
            half = group.over_seeds.half_width
            width = "" if half is None else f" ± {half:.0f}"
            ids = " ".join(map(str, group.runs))
            where = f"{group.task}, {_ROBOTS[group.group]}"
            print(safe(f"seeds {ids} on {where}: {group.over_seeds.mean:.0f}{width}"))
    for pair in found.differences:
        shared = f"{pair.robots} {_ROBOTS[pair.group]}, {pair.episodes} episodes"
        names = f"{pair.first} - {pair.second}"
        print(safe(f"{names} on {pair.task}, {shared}: {_words(pair.difference)}"))
    if len({subject.run.kind for subject, _ in found.subjects}) == 1 and found.config:
        _print_settings(found.config)


def _print_settings(config: Mapping[str, Mapping[int, Any]]) -> None:
    ids = list(next(iter(config.values())))
    print()
    print_table(
        ["setting", *map(str, ids)],
        [[name, *[str(values[run_id]) for run_id in ids]] for name, values in config.items()],
    )


def _words(estimate: Estimate | None) -> str:
    from hdtui.formatting import UNKNOWN, with_interval

    if estimate is None:
        return UNKNOWN
    return with_interval(estimate.value, estimate.low, estimate.high)
