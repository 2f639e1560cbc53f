"""``hdtui bench ...``: measure speed on this machine, against something in the same run."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import typer

from engine.config.base import Device, TaskName
from hdtui.cli import completion
from hdtui.cli.home import user_folder
from hdtui.cli.options import Call, NoHome, Seed, grouped_options, known_name
from hdtui.cli.output import print_json, print_table, say
from hdtui.data.child_tool import run_tool

app = typer.Typer(no_args_is_help=True, help="Measure speed on this machine.")


def show(result: dict[str, Any], call: Call) -> None:
    """The figures as JSON or as a table."""
    if call.json:
        print_json(result)
    else:
        print_table(
            ["figure", "value"],
            [
                [key, f"{value:.4g}" if isinstance(value, float) else str(value)]
                for key, value in result.items()
            ],
        )


@app.command("simulation")
@grouped_options(home=NoHome, seed=Seed)
def simulation_command(
    call: Call,
    task: Annotated[
        str,
        typer.Option(
            "--task",
            help="flat, variable, obstacles, incline.",
            autocompletion=completion.tasks,
        ),
    ] = "flat",
    robots: Annotated[int, typer.Option("--robots", min=1, help="Generated robots.")] = 16,
    per_robot: Annotated[int, typer.Option("--simulations", min=1, help="Per robot.")] = 16,
) -> None:
    """Environment steps against pure physics and against single Gymnasium environments."""
    known_name(task, get_args(TaskName), "task")
    arguments = {"task": task, "robots": robots, "per_robot": per_robot, "seed": call.usual_seed}
    show(run_tool("bench-simulation", arguments), call)


@app.command("ppo")
@grouped_options(home=NoHome, seed=Seed)
def ppo_command(
    call: Call,
    preset: Annotated[
        str, typer.Option("--preset", help="Settings of the teacher: quick, laptop or paper.")
    ] = "quick",
    device: Annotated[
        str, typer.Option("--device", help="Where its networks run: auto, cpu or cuda.")
    ] = "auto",
    bodies: Annotated[
        int | None,
        typer.Option("--bodies", min=1, help="So many bodies, 752 simulations in all."),
    ] = None,
) -> None:
    """The whole training loop against its environments, physics and matrix products alone."""
    known_name(preset, ("quick", "laptop", "paper"), "preset")
    known_name(device, get_args(Device), "device")
    arguments = {"seed": call.usual_seed, "preset": preset, "device": device, "bodies": bodies}
    show(run_tool("bench-ppo", arguments), call)


@app.command("distillation")
@grouped_options(home=NoHome)
def distillation_command(call: Call) -> None:
    """Distilling by robot against distilling by sample."""
    show(run_tool("bench-distillation", {}), call)


@app.command("database")
@grouped_options(home=NoHome, seed=Seed)
def database_command(
    call: Call,
    writers: Annotated[int, typer.Option("--writers", min=1, help="Runs that report.")] = 16,
    readers: Annotated[int, typer.Option("--readers", min=1, help="Cockpits that look.")] = 4,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How long.")] = 60.0,
    kills: Annotated[int, typer.Option("--kills", min=0, help="Writers killed at work.")] = 100,
) -> None:
    """Writers and readers on one database, writers killed and replaced: waits, losses, damage."""
    arguments = {"writers": writers, "readers": readers, "seconds": seconds, "kills": kills}
    show(run_tool("bench-database", {**arguments, "seed": call.usual_seed}), call)


@app.command("cockpit")
@grouped_options()
def cockpit_command(call: Call) -> None:
    """Opening, keys, a long curve and bytes, on 1 000 runs, 1 000 robots, 10 million points.

    The workspace is made on the first call and kept in the user's cache folder, or in --home.
    """
    import os

    from db.address import URL_VARIABLE
    from hdtui.bench.cockpit import measure

    os.environ.pop(URL_VARIABLE, None)
    own = user_folder("cache") / "bench-cockpit" if call.home is None else call.folder
    show(measure(own, say), call)
