"""Whatever lies where a file is expected, and whatever stands in it: one sentence, at once."""

import io
import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from db.queries.robots import get_robot
from db.queries.runs import get_run, queue_run
from db.records import NewRun, RunKind
from db.session import Database
from engine.checkpoints import load_checkpoint
from engine.config.overrides import parse_assignment, with_file
from engine.config.presets import preset
from engine.errors import CheckpointError, ConfigError, RobotError
from engine.files import file_sha256, parse_json, parse_toml, read_file
from engine.morphology.mjcf_writing import write_robot
from engine.morphology.tree import Morphology
from engine.workers import robot_library
from engine.workers.policy_files import trained_file
from engine.workers.tools import rollout
from engine.workers.workspace import Workspace
from hdtui.cli.main import run

DEEP = 100_000
NESTED = "[" * DEEP + "]" * DEEP
DIGITS = "9" * 5000
CONFIG = preset("smoke").teacher


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A pipe that nobody ever writes to."""
    path = tmp_path / "pipe.safetensors"
    os.mkfifo(path)
    return path


@pytest.fixture
def home(tmp_path: Path, biped: Morphology) -> Iterator[Path]:
    """A workspace with one robot and one run."""
    workspace = Workspace(tmp_path / "ws")
    with closing(Database.open(workspace.home)) as database:
        paired = replace(biped, symmetric_pairs=((1, 3),))
        robot_library.make_set(database, workspace, "mine", [(paired, "training")])
        queue_run(database, NewRun(RunKind.TEACHER, "first", {"seed": 1}, seed=1))
        yield workspace.home


def test_only_regular_files_of_bounded_size_are_read(tmp_path: Path, pipe: Path) -> None:
    for path in (pipe, Path("/dev/zero"), Path("/dev/null"), tmp_path, tmp_path / "none"):
        with pytest.raises(OSError, match=path.name):
            read_file(path, 10)
        with pytest.raises(OSError, match=path.name):
            file_sha256(path)
    with pytest.raises(OSError, match="larger than 10 bytes"):
        read_file(Path("/proc/cpuinfo"), 10)  # it says that it holds none
    with pytest.raises(OSError, match="null"):
        read_file(tmp_path / "a\0b", 10)
    link = tmp_path / "link"
    link.symlink_to("/proc/cpuinfo")
    assert read_file(link, 10_000_000)
    with pytest.raises(OSError, match="symbolic links"):
        read_file(link, 10_000_000, follow_links=False)


def test_documents_that_exhaust_their_reader_are_refused() -> None:
    for text in (NESTED, '{"a":' * DEEP, DIGITS):
        with pytest.raises(ValueError, match=r"nested|digits"):
            parse_json(text)
        with pytest.raises(ValueError, match=r"nested|digits"):
            parse_toml(f"a = {text}".replace("{", "[").replace('"a":', "").encode())


@pytest.mark.parametrize("value", [DIGITS, NESTED, f"[{DIGITS}]", f"-{DIGITS}"])
def test_a_setting_that_cannot_be_read_names_its_key(value: str) -> None:
    with pytest.raises(ConfigError, match=r"--set seed: no value that can be read") as refused:
        parse_assignment(f"seed={value}")
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "text",
    [f"seed = {DIGITS}", f"seed = {NESTED}", f"{'a.' * 10_000}b = 1", "seed = \xff", "seed = ["],
)
def test_a_configuration_that_cannot_be_read_names_its_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "my.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"my\.toml") as refused:
        with_file(CONFIG, path)
    assert len(str(refused.value)) < 400


def test_no_pipe_or_device_given_as_a_configuration_is_waited_for(
    pipe: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for path in (pipe, Path("/dev/zero"), tmp_path):
        words = ["teach", "--robots", "x", "--preset", "smoke", "--home", str(tmp_path / "new")]
        assert run([*words, "--config", str(path)]) == 2
        assert f"--config {path}: cannot be read" in capsys.readouterr().err
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigError, match="larger than 1000000 bytes"):
        with_file(CONFIG, large)
    assert not (tmp_path / "new").exists()


def test_policies_that_are_no_files_or_hold_no_document_are_one_sentence(
    home: Path, pipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nested = tmp_path / "nested.safetensors"
    save_file({"a": np.zeros(1)}, nested, metadata={"hdtui": NESTED})
    common = ["--robots", "mine", "--preset", "smoke", "--home", str(home)]
    for path in (pipe, nested, Path("/dev/zero"), Path("~nobody-has-this-name/x")):
        assert run(["evaluate", "--policy", str(path), *common]) == 2
        assert run(["adopt", str(path), "--robots", "mine", "--home", str(home)]) == 2
        assert path.name in capsys.readouterr().err
    for path in (pipe, nested):
        with pytest.raises(CheckpointError, match=path.name):
            load_checkpoint(path)
    with pytest.raises(Exception, match="nobody here has that home folder"):
        trained_file(Path("~nobody-has-this-name/x"))


def test_actions_that_are_no_numbers_of_a_file_are_one_sentence(pipe: Path, tmp_path: Path) -> None:
    huge = tmp_path / "huge.npy"
    with huge.open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 50, 6, 2)}
        np.lib.format.write_array_header_1_0(file, header)
    packed = tmp_path / "packed.npz"
    np.savez(packed, actions=np.zeros((2, 6, 2)))
    for path in (pipe, huge, packed, tmp_path, Path("/dev/zero"), tmp_path / "none.npy"):
        with pytest.raises(Exception, match=r"\.npy|no array of numbers"):
            rollout._load_actions(path)
    content = io.BytesIO()
    np.save(content, np.zeros((2, 6, 2)))
    (tmp_path / "good.npy").write_bytes(content.getvalue())
    assert rollout._load_actions(tmp_path / "good.npy").shape == (2, 6, 2)


def test_robots_of_a_library_are_read_by_the_same_door(home: Path, biped: Morphology) -> None:
    workspace = Workspace(home)
    with closing(Database.open(home)) as database:
        robot = get_robot(database, biped.digest)
        xml = workspace.resolve(robot.path)
        beside = xml.with_suffix(".json")
        for content in (NESTED, f'{{"dof": {DIGITS}}}'):
            beside.write_text(content)
            with pytest.raises(RobotError, match="cannot be read"):
                robot_library.load(workspace, robot)
        for path in (beside, xml):
            path.unlink()
            os.mkfifo(path)
            with pytest.raises(RobotError, match="not a regular file"):
                robot_library.load(workspace, robot)


HUGE = (2**31, 2**63, 10**30)


@pytest.mark.parametrize("number", HUGE)
def test_a_number_that_no_run_can_have_is_told_as_any_other_that_is_not_there(
    home: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    word = str(number)
    common = ["--home", str(home)]
    for words in (
        ["runs", "show", word],
        ["runs", "logs", word],
        ["runs", "metrics", word],
        ["runs", "note", word, "--note", "x"],
        ["runs", "stop", word],
        ["runs", "stop", word, "--kill"],
        ["runs", "resume", word],
        ["runs", "delete", word, "--yes"],
        ["runs", "compare", word, "1"],
        ["collect", word, "--robots", "mine", "--preset", "smoke"],
        ["distill", word, "--preset", "smoke"],
        ["deploy", word, "--robot", "mine"],
        ["evaluate", "--policy", word, "--robots", "mine"],
        ["efficiency", "--policies", word],
        ["export", "curves", word, "--out", str(home / "x.svg")],
    ):
        code = run([*words, *common])
        said = capsys.readouterr()
        assert code in (1, 2), words
        assert word in said.err, words
        assert len(said.err) < 500, words


def test_a_number_of_thousands_of_digits_is_no_traceback(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ["evaluate", "--policy", DIGITS, "--robots", "mine"],
        ["efficiency", "--policies", DIGITS],
        ["runs", "show", DIGITS],
        ["teach", "--robots", "mine", "--seed", DIGITS],
        ["screenshots", "--size", f"{DIGITS}x24"],
    ):
        assert run([*words, *([] if words[0] == "screenshots" else ["--home", str(home)])]) in (
            1,
            2,
        )
    capsys.readouterr()


@pytest.mark.parametrize("degrees", ["nan", "inf", "-1e308", "361"])
def test_the_camera_turns_by_degrees(degrees: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["robots", "draw", "mine", f"--yaw={degrees}"]) == 2
    assert "--yaw" in capsys.readouterr().err


def test_words_of_a_run_have_a_length(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 100_000
    common = ["--home", str(home)]
    for words in (
        ["runs", "note", "1", "--note", long],
        ["runs", "note", "1", "--tag", long],
        ["runs", "note", "1", "--study", long],
        ["teach", "--robots", "mine", "--preset", "smoke", "--name", long, "--detach"],
    ):
        assert run([*words, *common]) == 2, (words[2], capsys.readouterr())
        said = capsys.readouterr().err
        assert "at most" in said
        assert len(said) < 300
    with closing(Database.open(home)) as database:
        kept = get_run(database, 1)
    assert (kept.note, kept.tags, kept.group) == (None, (), None)


def test_what_commands_print_cannot_draw(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = home.parent / "a\x1b[31m\x07b"
    assert run(["db", "backup", str(odd), "--home", str(home)]) == 0
    run(["doctor", "--home", str(odd)])
    run(["doctor", "--home", str(odd / "ws")])
    run(["db", "restore", str(odd), "--home", str(home.parent / "c\x1b[2J")])
    said = capsys.readouterr()
    assert "a·[31m·b" in said.out
    assert not set(said.out + said.err) & set("\x1b\x07\x9b")


@pytest.mark.skipif(os.getuid() != 0, reason="plays another user, which root alone may")
def test_a_folder_of_robots_that_may_not_be_read_is_one_sentence(
    tmp_path: Path, biped: Morphology, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "robots"
    for name in ("xml", "metadata"):
        (folder / name).mkdir(parents=True)
    (folder / "xml" / "biped.xml").write_text(write_robot(biped))
    words = ["robots", "import", str(folder), "--home", str(tmp_path / "ws")]
    assert run(words) == 0  # what it loads is loaded
    for parent in (tmp_path, *tmp_path.parents[:-2]):
        parent.chmod(0o777)
    for closed in (folder / "metadata", folder / "xml", folder):
        closed.chmod(0o700)
        os.seteuid(54321)
        try:
            code = run([*words[:-1], str(tmp_path / "theirs")])
        finally:
            os.seteuid(0)
            closed.chmod(0o755)
        said = capsys.readouterr().err
        assert code in (1, 2)
        assert "Permission denied" in said or "no permission" in said


def test_screenshots_into_what_is_no_folder_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "x", Path("/proc/none")):
        assert run(["screenshots", "--out", str(out), "--only", "home"]) in (1, 2)
        said = capsys.readouterr().err
        assert str(out) in said
        assert "cannot be made" in said


def test_the_document_of_a_deployed_policy_and_the_registry_stay_small(tmp_path: Path) -> None:
    from engine.deployment.runtime import DeployedFileError, load_document

    path = tmp_path / "p.npz"
    path.write_bytes(b"")
    for content in (NESTED, DIGITS):
        path.with_suffix(".json").write_text(content)
        with pytest.raises(DeployedFileError, match=r"p\.json"):
            load_document(path)
    path.with_suffix(".json").unlink()
    os.mkfifo(path.with_suffix(".json"))
    with pytest.raises(DeployedFileError, match=r"p\.json"):
        load_document(path)


def test_a_value_too_large_to_show_is_not_shown(tmp_path: Path) -> None:
    from engine.config.overrides import validated

    for value in ("x" * 100_000, json.loads("[" * 500 + "]" * 500), 10**4200):
        document = replace_value(CONFIG.model_dump(mode="json"), value)
        with pytest.raises(ConfigError) as refused:
            validated(type(CONFIG), document, "--set")
        assert len(str(refused.value)) < 400


def replace_value(document: dict[str, object], value: object) -> dict[str, object]:
    """The document with ``value`` as its seed."""
    return {**document, "seed": value}
