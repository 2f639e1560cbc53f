"""The list of runs knows every metric before anybody asks for one."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from db.queries.metrics import NewPoint, append_points
from db.queries.runs import queue_run
from db.records import NewRun, RunKind
from db.session import Database
from hdtui.services.filters import parse_filter
from hdtui.services.run_list import RunsReader, passing, sorted_runs

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_metrics_filter_and_sort_without_having_been_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HDTUI_DATABASE_URL", raising=False)
    database = Database.open(tmp_path)
    losses = {}
    for loss in (0.5, 0.25, 0.75):
        run = queue_run(database, NewRun(RunKind.TEACHER, f"loss {loss}", {}, seed=1))
        losses[run.id] = loss
        points = [
            NewPoint("value_loss", "", 1, 1, 1.0, loss),
            NewPoint("value_loss", "d" * 64, 1, 1, 1.0, 9.0),
        ]
        with database.write() as session:
            append_points(session, run.id, points)
    queue_run(database, NewRun(RunKind.TEACHER, "reports nothing", {}, seed=1))
    reader = RunsReader()
    facts = reader.read(database, "here", NOW, False)
    assert "value_loss" in facts.fields
    ordered = sorted_runs(facts, facts.views, "value_loss", descending=False)
    assert [losses.get(each.run.id) for each in ordered] == [0.25, 0.5, 0.75, None]
    low = passing(facts, parse_filter("value_loss<0.6", facts.fields))
    assert {losses[each.run.id] for each in low} == {0.25, 0.5}
    with database.write() as session:
        append_points(session, 1, [NewPoint("value_loss", "", 2, 2, 2.0, 0.1)])
    again = reader.read(database, "here", NOW, False)
    assert again.metrics[1] == {"value_loss": 0.1}
    database.close()
