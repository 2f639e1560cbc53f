"""``hdtui deploy``: one small policy file per robot, and copies of it where they are wanted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from db.records import RunKind
from engine.config.evaluation import DeploymentConfig, DeploymentFormat
from engine.errors import DeploymentError, UsageError
from engine.files import write_bytes
from hdtui.cli import completion
from hdtui.cli.launch import StageOptions, queue_and_follow, reading
from hdtui.cli.options import Call, Seed, grouped_options, known_name
from hdtui.cli.output import safe

if TYPE_CHECKING:
    from db.records import Run
    from db.session import Database


@grouped_options(seed=Seed, device=None, allow_role=None)
def deploy_command(
    call: Call,
    stage: StageOptions,
    student: Annotated[
        str,
        typer.Argument(
            metavar="STUDENT",
            help="Number of its run, its file, or pretrained.",
            autocompletion=completion.policy_runs(RunKind.STUDENT),
        ),
    ],
    robots: Annotated[
        list[str],
        typer.Option(
            "--robot",
            metavar="ROBOT|FILE.xml|SET",
            help="A robot, its file or a set; may be repeated.",
            autocompletion=completion.robots_and_sets,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to copy the files to as well.")
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format", help="npz (numpy alone) or onnx.", autocompletion=completion.formats
        ),
    ] = None,
) -> None:
    """Write one robot's MLP as a file that runs anywhere, with a JSON that explains it."""
    words = []
    if file_format is not None:
        words = [f'format="{known_name(file_format, get_args(DeploymentFormat), "format")}"']
    if out is not None and (stage.detach or (out.exists() and not out.is_dir())):
        raise UsageError(
            f"--out {out}: "
            + ("copies need the run's end; leave --detach out" if stage.detach else "not a folder")
        )
    config = stage.stage_config(DeploymentConfig, RunKind.DEPLOYMENT, call.seed, *words)
    database, inputs = reading(call, student, RunKind.DEPLOYMENT, robots)
    request = stage.request(RunKind.DEPLOYMENT, config, inputs=inputs, robots=tuple(robots))
    written: list[Path] = []

    def copy(run: Run) -> dict[str, list[Path]]:
        files = deployed_files(database, run)
        written.extend(files if out is None else (copy_deployed(each, out) for each in files))
        return {"files": written}

    queue_and_follow(call, database, request, detach=stage.detach, finished=copy)
    if not call.json:
        for file in written:
            print(safe(str(file)))


def deployed_files(database: Database, run: Run) -> list[Path]:
    """The policies that a deployment wrote."""
    from db.queries.artifacts import list_artifacts

    artifacts = list_artifacts(database, run.id)
    return [database.home / each.path for each in artifacts if each.kind == "deployed_policy"]


def copy_deployed(policy: Path, out: Path) -> Path:
    """Copy a policy, the JSON that explains it, the scene to try it in and its runner: the copy.

    Raises:
        DeploymentError: The policy or its JSON is missing, or the folder cannot be written.
    """
    from engine.deployment import runtime

    scene = policy.with_suffix(".xml")
    # A robot that sees terrain has no scene of its own, an ONNX file no runner of ours.
    sources = [policy, runtime.json_path(policy), *([scene] if scene.is_file() else [])]
    sources += [Path(runtime.__file__)] if policy.suffix == ".npz" else []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for source in sources:
            write_bytes(out / source.name, source.read_bytes())
    except OSError as error:
        problem = f"{error.filename or out}: {error.strerror}"
        raise DeploymentError(
            f"{policy.name} cannot be copied to {out}: {problem}; the files are in {policy.parent}"
        ) from error
    return out / policy.name
