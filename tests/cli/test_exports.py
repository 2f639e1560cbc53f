"""Tables, curves and reports that leave hdtui, read back by other means."""

import csv
import io
import json
import math
import struct
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from database_rows import record_episodes
from hypothesis import given
from hypothesis import strategies as st

from db.models import RunRow
from db.queries.metrics import NewPoint, append_points
from db.queries.runs import queue_run
from db.records import NewRun, Run, RunKind
from db.session import Database
from engine.errors import UsageError
from engine.events import Episode
from engine.morphology.generation import generate
from engine.workers.robot_library import make_set
from engine.workers.workspace import Workspace
from hdtui.cli.main import run as hdtui
from hdtui.cli.output import document
from hdtui.exports.formats import DataTable, as_csv, as_latex, as_markdown
from hdtui.exports.report import curves_plot, run_report
from hdtui.exports.svg import Line, line_plot
from hdtui.exports.tables import (
    episodes_table,
    metrics_table,
    runs_table,
)
from hdtui.exports.tensorboard import Scalar, crc32c, run_scalars, write_events

TABLE = DataTable(("name", "value"), (("a|b\nc", 1.25), ('say "hi", then go', None)))


def finished(database: Database, new: NewRun) -> Run:
    """A run that nothing starts: commands see to it that queued ones have a supervisor."""
    run = queue_run(database, new)
    with database.write() as session:
        row = session.get(RunRow, run.id)
        assert row is not None
        row.state = "finished"
    return run


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A workspace with a teacher of three points and a name that looks like markup."""
    database = Database.open(tmp_path)
    run = finished(database, NewRun(RunKind.TEACHER, "<b>|*", {"seed": 1, "ppo": {"a": 2}}, 1))
    with database.write() as session:
        points = [
            NewPoint("return", "", step, step, step / 2, float(step**2)) for step in (1, 2, 3)
        ]
        append_points(session, run.id, points)
    return database


def test_csv_comes_back_as_it_was() -> None:
    rows = list(csv.reader(io.StringIO(as_csv(TABLE), newline="")))
    assert rows == [["name", "value"], ["a|b\nc", "1.25"], ['say "hi", then go', ""]]


def test_markdown_keeps_a_row_on_a_line_and_bars_in_their_cells() -> None:
    assert as_markdown(TABLE).splitlines() == [
        "| name | value |",
        "| --- | ---: |",
        "| a\\|b c | 1.25 |",
        '| say "hi", then go |  |',
    ]


def test_latex_has_the_rules_of_booktabs_units_behind_headings_and_no_letter_that_acts() -> None:
    table = DataTable(("name", "mass_kg", "mean_speed_m_s"), (("50 % & a_b", 7.5, None),))
    assert as_latex(table).splitlines()[1:] == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"name & mass (kg) & mean speed (m/s) \\",
        r"\midrule",
        r"50 \% \& a\_b & 7.5 &  \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_every_point_of_a_curve_is_in_its_table(database: Database) -> None:
    table = metrics_table(database, [1], ["return"])
    assert [(row["step"], row["value"]) for row in table.records()] == [(1, 1), (2, 4), (3, 9)]
    assert metrics_table(database, [1], ["loss"]).rows == ()
    assert [row["kind"] for row in runs_table(database, []).records()] == [RunKind.TEACHER]


ODD = {1: math.nan, 2: math.inf, 3: -math.inf, 4: 1e39, 5: 1.7e308, 6: 2.5}


@pytest.fixture
def odd(tmp_path: Path) -> Database:
    """A run whose loss was not finite, and too large for 32 and for 64 bits' sums."""
    database = Database.open(tmp_path / "odd")
    run = finished(database, NewRun(RunKind.TEACHER, "t", {"seed": 1}, 1))
    points = [NewPoint("loss", "", step, step, step / 2, value) for step, value in ODD.items()]
    broken = [replace(each, robot_digest="d" * 64, value=math.nan) for each in points]
    with database.write() as session:
        append_points(session, run.id, [*points, *broken])
    return database


def test_no_export_loses_a_point_that_is_not_finite(odd: Database) -> None:
    table = metrics_table(odd, [1], ["loss"])
    own = [row for row in table.records() if row["robot_digest"] is None]
    assert repr([row["value"] for row in own]) == repr(list(ODD.values()))
    assert len(table.rows) == 12
    rows = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert repr([float(row["value"]) for row in rows[:6]]) == repr(list(ODD.values()))
    text = json.dumps(document({"rows": table.records()}), allow_nan=False)
    values = [row["value"] for row in json.loads(text)["rows"]][:6]
    assert values == ["NaN", "Infinity", "-Infinity", 1e39, 1.7e308, 2.5]
    assert as_markdown(table).count(" nan |") == 7


def test_tensorboard_gets_every_point_and_infinity_for_what_has_no_32_bits(odd: Database) -> None:
    _, scalars = run_scalars(odd, 1, metrics_table(odd, [1], ["loss"]))
    file = io.BytesIO()
    assert write_events(file, scalars, 0.0) == 12
    values = [struct.unpack("<f", record[-4:])[0] for record in _records(file.getvalue())[1:7]]
    assert repr(values) == "[nan, inf, -inf, inf, inf, 2.5]"


def test_a_report_and_its_plots_tell_points_that_are_not_finite(odd: Database) -> None:
    report = run_report(odd, 1)
    assert "loss has points without a height: NaN at 1 and 3 more." in report.text
    (plot,) = report.plots.values()
    parts = ElementTree.fromstring(plot).iter()  # noqa: S314 -- ours
    titles = [each.text for each in parts if each.tag.endswith("title")]
    assert titles == ["nan at 1", "inf at 2", "-inf at 3", "1.7e+308 at 5"]
    nothing = Line("a", (), (), (), (), ((1.0, math.nan), (5.0, -math.inf)))
    assert line_plot("t", "x", [nothing]).count("<title>") == 2


def test_a_report_shows_every_curve_and_takes_no_name_for_markup(database: Database) -> None:
    report = run_report(database, 1)
    assert report.text.startswith("# Run 1: teacher \\<b\\>\\|\\*\n")
    assert len(report.plots) == 1
    assert all(f"]({name})" in report.text for name in report.plots)
    assert "| ppo.a | 2 |" in report.text


def test_a_robot_is_called_what_the_set_of_its_evaluation_calls_it(tmp_path: Path) -> None:
    database, workspace = Database.open(tmp_path), Workspace(tmp_path)
    (robot,) = generate(1, seed=3)
    make_set(database, workspace, "old", [(robot, None)])
    run = queue_run(database, NewRun(RunKind.EVALUATION, "e", {}, 1, robot_sets=("old",)))
    episode = Episode("zero", robot.digest, "flat", 1, 0, 9.0, 10, False, 1.0, 1.0, 1.0)
    record_episodes(database, run.id, [episode])
    make_set(database, workspace, "copies", [(replace(robot, name="mine"), None)])
    (row,) = episodes_table(database, [run.id]).records()
    assert row["robot"] == robot.name
    assert f"| {robot.name} |" in run_report(database, run.id).text


def test_curves_of_several_runs_share_a_plot_or_say_what_is_missing(database: Database) -> None:
    other = queue_run(database, NewRun(RunKind.TEACHER, "other", {"seed": 2}, 2))
    with pytest.raises(UsageError, match="run 2 has no metric 'return'; it has: none"):
        curves_plot(database, [1, other.id], "return")
    with database.write() as session:
        append_points(session, other.id, [NewPoint("return", "", 1, 1, 0.5, 4.0)])
    plot = curves_plot(database, [1, other.id], "return", "two < three")
    texts = [each.text for each in ElementTree.fromstring(plot).iter()]  # noqa: S314 (our own text)
    assert {"two < three", "1 <b>|*", "2 other"} <= set(texts)


values = st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=20)


@given(values, st.booleans())
def test_plots_are_well_formed_and_stay_inside_their_frame(ys: list[float], log_y: bool) -> None:
    x = [float(place) for place in range(len(ys))]
    plot = line_plot("a < b & c", "steps", [Line("curve", x, ys, ys, ys)], log_y=log_y)
    root = ElementTree.fromstring(plot)  # noqa: S314 (our own text)
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        assert -1 <= float(text.attrib["y"]) <= 321
        assert -1 <= float(text.attrib["x"]) <= 721


def test_a_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


def _records(content: bytes) -> list[bytes]:
    """TFRecord frames, read as its documentation says."""
    found, place = [], 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        for start, size in ((place, 8), (place + 12, length)):
            (check,) = struct.unpack_from("<I", content, start + size)
            crc = crc32c(content[start : start + size])
            assert check == (((crc >> 15) | (crc << 17 & 0xFFFFFFFF)) + 0xA282EAD8) & 0xFFFFFFFF
        found.append(content[place + 12 : place + 12 + length])
        place += 16 + length
    return found


def test_events_are_what_protobuf_reads() -> None:
    pytest.importorskip("google.protobuf")
    file = io.BytesIO()
    scalars = [Scalar("return/robot é", 300 * step, 1.5 * step, 1e9 + step) for step in range(3)]
    assert write_events(file, scalars, 1e9) == 3
    events = [_event_type().FromString(record) for record in _records(file.getvalue())]
    assert events[0].file_version == "brain.Event:2"
    for event, scalar in zip(events[1:], scalars, strict=True):
        assert (event.step, event.wall_time) == (scalar.step, scalar.time_s)
        (value,) = event.summary.value
        assert (value.tag, value.simple_value) == (scalar.tag, scalar.value)


def _event_type() -> type:
    """tensorflow.Event, the fields that scalars use."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    fields = {
        "Value": [("tag", 1, 9, 1, ""), ("simple_value", 2, 2, 1, "")],
        "Summary": [("value", 1, 11, 3, ".t.Value")],
        "Event": [
            ("wall_time", 1, 1, 1, ""),
            ("step", 2, 3, 1, ""),
            ("file_version", 3, 9, 1, ""),
            ("summary", 5, 11, 1, ".t.Summary"),
        ],
    }
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    for message, own in fields.items():
        described = file.message_type.add(name=message)
        for name, number, kind, label, type_name in own:
            described.field.add(
                name=name, number=number, type=kind, label=label, type_name=type_name or None
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found: type = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Event"))
    return found


def test_each_run_gets_a_folder_of_its_own_for_tensorboard(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = finished(database, NewRun(RunKind.TEACHER, "../up", {"seed": 2}, 2))
    with database.write() as session:
        append_points(session, second.id, [NewPoint("return", "", 1, 1, 0.5, 4.0)])
    out = tmp_path / "of events"
    words = ["export", "metrics", "1", "2", "--home", str(tmp_path), "--out", str(out)]
    assert hdtui([*words, "--format", "tensorboard", "--json"]) == 0
    told = capsys.readouterr()
    assert f"tensorboard --logdir '{out}'" in told.err
    written = json.loads(told.out)["runs"]
    assert [(each["run"], each["rows"]) for each in written] == [(1, 3), (2, 1)]
    assert sorted(each.name for each in out.iterdir()) == ["1-b", "2-up"]
    # Again: the same files, not others beside them; a foreign file there is no run of ours.
    assert hdtui([*words, "--format", "tensorboard"]) == 0
    assert [len(list(each.iterdir())) for each in out.iterdir()] == [1, 1]
    (out / "2-up" / "events.out.tfevents.7.elsewhere").touch()
    assert hdtui([*words, "--format", "tensorboard"]) == 2
    assert "events.out.tfevents.7.elsewhere, events of another run" in capsys.readouterr().err
    assert hdtui(["export", "metrics", "1", "2", "--home", str(tmp_path)]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == [
        *("run", "1", "1", "1", "2")
    ]
