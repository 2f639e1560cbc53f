"""``hdtui robots show | draw | rollout``: one robot, of the library or of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from engine.config.base import TaskName
from engine.errors import RobotError
from engine.text import counted
from hdtui.cli import completion
from hdtui.cli.options import Call, Seed, grouped_options, known_name
from hdtui.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from engine.morphology.tree import Morphology

RobotName = Annotated[
    str,
    typer.Argument(
        metavar="ROBOT|FILE.xml",
        help="Name, digest, or a robot's XML file.",
        autocompletion=completion.robots,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to their group."""
    app.command("show")(show_command)
    app.command("draw")(draw_command)
    app.command("rollout")(rollout_command)


def find_robot(call: Call, name: str) -> Morphology:
    """A robot of the library by name or digest, or that of an XML file.

    Raises:
        RobotError: There is no such robot, or the file is not valid.
    """
    from db.queries.robots import get_robot
    from engine.morphology.mjcf import load_robot
    from engine.workers.robot_library import load

    path = Path(name)
    if name.endswith(".xml"):
        if not path.is_file():
            raise RobotError(f"{name}: there is no such file")
        return load_robot(path)
    workspace, database = call.look()
    if database is None:
        raise RobotError(f'there is no robot "{name}": the workspace {workspace.home} is empty')
    return load(workspace, get_robot(database, name))


@grouped_options()
def show_command(call: Call, robot: RobotName) -> None:
    """One robot: limbs, joints, mass, lineage."""
    morphology = find_robot(call, robot)
    if call.json:
        print_json(
            {
                "name": morphology.name,
                "digest": morphology.digest,
                "family": morphology.family,
                "num_limbs": morphology.num_limbs_without_head,
                "num_joints": morphology.num_joints,
                "lineage": morphology.lineage,
                "symmetric_pairs": morphology.symmetric_pairs,
                "limb_names": morphology.limb_names,
                "limbs": morphology.limbs,
            }
        )
        return
    num_limbs = counted(morphology.num_limbs_without_head, "limb")
    num_joints = counted(morphology.num_joints, "joint")
    print(f"{morphology.name}  {num_limbs}, {num_joints}, digest {morphology.digest[:7]}")
    rows = []
    for limb, name in zip(morphology.limbs, morphology.limb_names, strict=True):
        joints = [
            f"{joint.range_deg[0]:g}..{joint.range_deg[1]:g} gear {joint.gear:g}"
            for joint in limb.joints
            if joint is not None
        ]
        parent = "·" if limb.parent < 0 else morphology.limb_names[limb.parent]
        rows.append([name, parent, "  ".join(joints)])
    print_table(["limb", "parent", "joints"], rows)


@grouped_options()
def draw_command(
    call: Call,
    robot: RobotName,
    width: Annotated[int, typer.Option("--width", min=8, max=300, help="Columns.")] = 60,
    height: Annotated[int, typer.Option("--height", min=4, max=100, help="Rows.")] = 20,
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            help="braille, blocks or ascii.",
            autocompletion=completion.words("braille", "blocks", "ascii"),
        ),
    ] = "braille",
    yaw_deg: Annotated[
        float, typer.Option("--yaw", min=-360, max=360, help="Camera's turn, degrees.")
    ] = -20.0,
) -> None:
    """Draw a robot as it stands."""
    from hdtui.canvas.picture import Drawing, draw

    known_name(mode, [drawing.value for drawing in Drawing], "drawing mode")
    lines = draw(find_robot(call, robot), width, height, Drawing(mode), yaw_deg)
    if call.json:
        print_json({"robot": robot, "lines": lines})
    else:
        print("\n".join(lines))


@grouped_options(seed=Seed)
def rollout_command(
    call: Call,
    robot: RobotName,
    actions: Annotated[Path, typer.Option("--actions", help="FILE.npy of (T, L, 2).")],
    out: Annotated[Path, typer.Option("--out", help="FILE.npz to write.")],
    task: Annotated[
        str,
        typer.Option(
            "--task",
            help="flat, variable, obstacles, incline.",
            autocompletion=completion.tasks,
        ),
    ] = "flat",
    noise: Annotated[bool, typer.Option("--noise/--no-noise", help="Reset noise.")] = True,
) -> None:
    """Play recorded actions and write what the robot saw, earned and did."""
    from engine.morphology.mjcf_writing import write_robot
    from hdtui.data.child_tool import run_tool

    known_name(task, get_args(TaskName), "task")
    morphology = find_robot(call, robot)
    result = run_tool(
        "rollout",
        {
            "name": morphology.name,
            "xml": write_robot(morphology),
            "task": task,
            "actions": str(actions.absolute()),
            "out": str(out.absolute()),
            "seed": call.usual_seed,
            "noise": noise,
        },
    )
    if call.json:
        print_json(result)
    else:
        say(f"{out}: {counted(result['steps'], 'step')}, return {result['return']:.3f}")
