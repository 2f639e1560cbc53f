"""Policy files that people name: checked and hashed when queued, checked again when used.

Loads neither torch nor mujoco, and never unpickles: weights are read by the worker alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from db.records import RunKind
from engine.config.base import TERRAIN_TASKS, KnownFrom
from engine.deployment.runtime import DeployedFileError, load_deployed, load_document
from engine.errors import CheckpointError, DeploymentError, UsageError
from engine.evaluation.robot_groups import Knowledge
from engine.files import check_file, expanded, file_sha256, parse_json

_TRAINED_KINDS = {
    "teacher": RunKind.TEACHER,
    "student": RunKind.STUDENT,
    "student_snapshot": RunKind.STUDENT,
}
"""What files say they hold, a student's checkpoint last."""
_POLICY_PREFIXES = ("controller.", "best.")
"""Names of a policy's tensors, as ``engine.rollout.saved_policy`` writes them."""
NETWORK, DEPLOYED = "network", "deployed"
TRAINED_ON, KNOWN = "trained_on", "known"
"""Where a run that took a policy over keeps digests: robots of the training, all that it met."""
PRETRAINED = {"pretrained": RunKind.STUDENT, "pretrained-teacher": RunKind.TEACHER}
"""The policies that come with hdtui, by the words that name them wherever a policy is named."""
_PRETRAINED_FOLDER = Path(__file__).parents[1] / "pretrained"


@dataclass(frozen=True)
class PolicyFile:
    """A policy in one file (``network``), or one deployed file per robot (``deployed``)."""

    label: str
    kind: str
    paths: tuple[str, ...]
    sha256: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As plain JSON, for a run's ``extra``."""
        return asdict(self)

    def checked_paths(self) -> tuple[Path, ...]:
        """The files, as they were when the run was queued.

        Raises:
            CheckpointError: One is gone or has changed since.
        """
        paths = tuple(Path(path) for path in self.paths)
        for path, sha256 in zip(paths, self.sha256, strict=True):
            if not path.is_file():
                raise CheckpointError(f"{path} is gone since the run was queued; queue it again.")
            if file_sha256(path) != sha256:
                raise CheckpointError(
                    f"{path} has changed since the run was queued; queue it anew."
                )
        return paths


def policy_file_of(document: Mapping[str, Any]) -> PolicyFile:
    """What ``PolicyFile.document`` wrote."""
    return PolicyFile(
        str(document["label"]),
        str(document["kind"]),
        tuple(document["paths"]),
        tuple(document["sha256"]),
    )


def named_path(document: Mapping[str, Any]) -> Path:
    """The path that names a written-down policy: the file, or the folder of one file per robot."""
    paths = [Path(path) for path in document["paths"]]
    return paths[0] if len(paths) == 1 else paths[0].parent


def find_policy_files(
    paths: Sequence[Path], task: str, digests: Collection[str]
) -> list[PolicyFile]:
    """The policies at ``paths``, each with a label of its own.

    Raises:
        UsageError: There is no such file, it holds no policy, or it does not fit task or robots.
    """
    found: list[PolicyFile] = []
    for path in paths:
        file = find_policy_file(path, task, digests)
        same = sum(each.label.partition(" (")[0] == file.label for each in found)
        found.append(replace(file, label=f"{file.label} ({same + 1})") if same else file)
    return found


def find_policy_file(path: Path, task: str, digests: Collection[str]) -> PolicyFile:
    """The policy at ``path``: a policy or checkpoint file, a deployed .npz, a folder of those.

    Of a run's folder, also of another workspace, it is what the run made, else its last checkpoint.

    Raises:
        UsageError: There is no such file, it holds no policy, or it does not fit task or robots.
    """
    path, label = _named(path, "--policy")
    if not path.exists():
        raise UsageError(
            f"--policy {path}: no such file; name a run, a file, {', '.join(PRETRAINED)}, random"
            " or zero"
        )
    path = policy_in(path) if path.is_dir() else path
    label = label or f"file {path.name}"
    if path.is_dir() or path.suffix == ".npz":
        paths = sorted(path.glob("*.npz")) if path.is_dir() else [path]
        _check_deployed(path, paths, digests)
        return PolicyFile(label, DEPLOYED, *_named_and_hashed(paths))
    if path.suffix == ".onnx":
        raise UsageError(f"--policy {path}: ONNX files are for other programs; name the .npz")
    _check_network(path, task)
    return PolicyFile(label, NETWORK, *_named_and_hashed([path]))


def _named(path: Path, what: str) -> tuple[Path, str]:
    """The file that a path or a word of ``PRETRAINED`` names, and the word."""
    kind = PRETRAINED.get(str(path))
    if kind is None:
        return expanded(path, what).absolute(), ""
    return _PRETRAINED_FOLDER / f"{kind}.safetensors", str(path)


def may_leave(path: Path, kinds: Collection[RunKind]) -> bool:
    """Whether a path names what one of these kinds of runs may have left; it is not looked into."""
    kind = PRETRAINED.get(str(path))
    if kind is not None:
        return kind in kinds
    return path.suffix == ".safetensors" and bool({*kinds} & {*PRETRAINED.values()})


def policy_in(folder: Path) -> Path:
    """What a run's folder holds as its policy; the folder itself where it is none.

    That is the newest policy or student, else the newest checkpoint, else its deployed files.
    """
    for pattern in ("policy-a*.safetensors", "student-a*.safetensors", "checkpoint-a*.safetensors"):
        found = sorted(folder.glob(pattern), key=lambda file: file.stat().st_mtime)
        if found:
            return found[-1]
    deployed = folder / "deployed"
    return deployed if deployed.is_dir() else folder


def _named_and_hashed(paths: Sequence[Path]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(map(str, paths)), tuple(map(file_sha256, paths))


def trained_file(path: Path) -> tuple[PolicyFile, RunKind, dict[str, Any]]:
    """A teacher's or student's policy or checkpoint, which of them, and the settings of its run.

    Raises:
        UsageError: There is no such file, or it holds neither.
    """
    path, label = _named(path, "the file")
    path = policy_in(path) if path.is_dir() else path
    if not path.is_file():
        raise UsageError(f"{path}: no such file; name a teacher's or student's (.safetensors)")
    document = _document(path)
    if document is None:
        raise UsageError(
            f"{path}: holds no policy; expected a teacher's or student's, or a checkpoint"
            " (.safetensors)"
        )
    kind = _TRAINED_KINDS.get(str(document.get("kind")))
    if kind is None or not isinstance(document.get("config"), dict):
        found = document.get("kind", "policy")
        raise UsageError(f"{path}: holds a {found}, expected a teacher or student")
    _check_weights(path)
    file = PolicyFile(label or f"file {path.name}", NETWORK, *_named_and_hashed([path]))
    return file, kind, document["config"]


def _document(path: Path) -> dict[str, Any] | None:
    """What a policy or checkpoint file says of itself; None where it is none."""
    try:
        check_file(path)
        with safe_open(path, framework="numpy") as file:
            written = (file.metadata() or {}).get("hdtui", "")
        document = parse_json(written)
        document["policy"]["task"]
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return dict(document)


def _policy_of(path: Path) -> dict[str, Any]:
    document = _document(path)
    if document is None:
        raise UsageError(f"{path}: holds no policy: expected a .safetensors file of hdtui's")
    return dict(document["policy"])


def file_knowledge(file: PolicyFile) -> Knowledge:
    """What the policy of a file knows of robots, as the file itself says it.

    A student knows the robots of its teacher, and all whose behaviour was collected; where its file
    is of version 0.1, those that it learned from. Deployed files each say it of their own robot.
    """
    paths = file.checked_paths()
    return _deployed_knowledge(paths) if file.kind == DEPLOYED else written_knowledge(paths[0])


def written_knowledge(path: Path) -> Knowledge:
    """What a teacher's or student's file says of the robots that it knows.

    Raises:
        UsageError: It holds no policy.
    """
    policy = _policy_of(path)
    own, taught, met = (
        frozenset(map(str, policy.get(key, ())))
        for key in ("digests", "teacher_digests", "collected_digests")
    )
    return Knowledge(taught or own, own | taught | met)


def _deployed_knowledge(paths: Sequence[Path]) -> Knowledge:
    robots = [load_document(path)["robot"] for path in paths]
    known_from = {robot["digest"]: robot.get("known_from") for robot in robots}

    def known(*sources: KnownFrom) -> frozenset[str]:
        return frozenset(digest for digest, source in known_from.items() if source in sources)

    said = None not in known_from.values()  # files of version 0.1 do not say it
    return Knowledge(known("training"), known("training", "collection"), certain=said)


def written_network(path: Path | str) -> dict[str, Any]:
    """The settings of the network in a policy file; none where it holds no policy."""
    document = _document(Path(path))
    network = document["policy"].get("network") if document else None
    return network if isinstance(network, dict) else {}


def _check_network(path: Path, task: str) -> None:
    document = _document(path)
    if document is None:
        raise UsageError(
            f"--policy {path}: holds no policy; expected a .safetensors file of a teacher or"
            " student, or a deployed .npz"
        )
    own_task = document["policy"]["task"]
    if (own_task in TERRAIN_TASKS) != (task in TERRAIN_TASKS):
        raise UsageError(f"--policy {path}: was made for {own_task} and cannot act on {task}")
    _check_weights(path)


def _check_weights(path: Path) -> None:
    """See that a file's policy can act: UsageError where a weight is not finite, by its name."""
    with safe_open(path, framework="numpy") as file:
        for name in file.keys():  # noqa: SIM118 - no mapping
            if name.startswith(_POLICY_PREFIXES) and not np.isfinite(file.get_tensor(name)).all():
                raise UsageError(
                    f"{path}: {name} holds numbers that are not finite: its training has diverged;"
                    " name an earlier checkpoint"
                )


def _check_deployed(named: Path, paths: Sequence[Path], digests: Collection[str]) -> None:
    if not paths:
        raise UsageError(f"--policy {named}: the folder holds no deployed .npz files")
    try:
        covered = {load_deployed(path).document["robot"]["digest"] for path in paths}
    except (DeployedFileError, DeploymentError, KeyError, TypeError) as error:
        raise UsageError(f"--policy {named}: no deployed policy: {error}") from error
    missing = [digest for digest in digests if digest not in covered]
    if missing:
        raise UsageError(
            f"--policy {named}: acts for {len(covered)} robots, but {len(missing)} of those to"
            f" evaluate have no file (the first is {missing[0][:7]}); deploy the student on them"
        )
