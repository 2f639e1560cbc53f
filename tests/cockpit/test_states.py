from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db.records import Run, RunKind, RunState
from engine.workers.post_mortem import EXIT_DIVERGED
from hdtui.data.run_states import GLYPHS, SHELL_COMMANDS, Surroundings, left_s, shown_state, view

NOW = datetime(2026, 11, 22, 15, 0, 0, tzinfo=UTC)


def a_run(state: str, **facts: Any) -> Run:
    known: dict[str, Any] = {
        "id": 209, "kind": RunKind.TEACHER, "name": "quick-s1", "state": RunState(state),
        "pipeline": None, "group": None, "host": "lab-7", "device": "cpu", "attempt": 1,
        "pid": 21904, "pid_started_at": None, "boot_id": None, "seed": 1, "config": {},
        "inputs": (), "robot_sets": (), "folder": "runs/209", "versions": {}, "reason": None,
        "exit_code": None, "progress": None, "done": None, "total": None, "unit": None,
        "rate": None, "result": None, "result_text": None, "report_gap_s": None,
        "created_at": NOW, "started_at": NOW, "ended_at": None, "reported_at": None,
        "checkpoint_step": None,
    }  # fmt: skip
    return Run(**{**known, **facts})


def said(run: Run, **around: Any) -> str:
    return view(run, Surroundings(now=NOW, **around)).sentence


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def test_every_state_has_a_glyph_of_one_cell() -> None:
    assert {str(state) for state in RunState} | {"stalled"} == set(GLYPHS)
    assert all(len(glyph) == 1 for glyph, _ in GLYPHS.values())


def test_a_queued_run_says_what_it_waits_for() -> None:
    run = a_run("queued", id=211, inputs=(209,), started_at=None)
    assert said(run, waits_for={209: a_run("running")}) == "waits for 209 teacher"
    assert said(run, slots=2, slots_in_use=2) == "waits for a slot, 2 of 2 in use"
    held = a_run("queued", queued_boot_id="before")
    assert said(held, boot_id="after").startswith("not started: the machine restarted, R lets")


def test_a_running_run_says_when_it_reported_last() -> None:
    run = a_run("running", started_at=ago(271), reported_at=ago(1))
    assert said(run) == "running 4m 31s, last report 1s ago"


@pytest.mark.parametrize(
    ("silent_s", "usual_s", "shown"),
    [(29, 1, "running"), (31, 1, "stalled"), (60, 20, "running"), (101, 20, "stalled"),
     (31, None, "stalled")],
)  # fmt: skip
def test_a_run_is_stalled_after_half_a_minute_and_five_usual_gaps(
    silent_s: float, usual_s: float | None, shown: str
) -> None:
    run = a_run("running", started_at=ago(500), reported_at=ago(silent_s), report_gap_s=usual_s)
    assert shown_state(run, NOW) == shown


def test_a_stalled_run_proves_it() -> None:
    run = a_run("running", started_at=ago(500), reported_at=ago(130), report_gap_s=3.0)
    assert said(run) == "process 21904 is alive, last report 2m 10s ago, usually every 3s"


def test_a_stopping_run_says_when_it_is_killed() -> None:
    run = a_run("stopping", stop_requested_at=ago(6))
    assert said(run) == (
        "stopping for 6s: writes a checkpoint; killed in 24s if still there, "
        "X offers to kill it now"
    )


def test_an_ended_run_says_how_and_what_comes_next() -> None:
    ended = {"started_at": ago(600), "ended_at": ago(58), "checkpoint_step": 1_400_000}
    assert said(a_run("finished", **ended)) == "finished in 9m 02s"
    assert said(a_run("stopped", **ended, done=1.2e6, total=2e6, unit="steps")) == (
        "stopped at 1.2M of 2.0M steps, checkpoint kept. R resumes"
    )
    failed = a_run("failed", **ended, reason="value loss is NaN", exit_code=1)
    assert said(failed) == (
        "failed: exit code 1, value loss is NaN. Last good checkpoint at 1.4M. R retries from it"
    )
    # What diverged would do the same again from its checkpoint.
    diverged = a_run("failed", **ended, reason="KL of 85: it diverged", exit_code=EXIT_DIVERGED)
    assert said(diverged) == (
        f"failed: exit code {EXIT_DIVERGED}, KL of 85: it diverged. C clones it with other settings"
    )
    assert "resume" not in said(diverged, orders=SHELL_COMMANDS)
    assert "process 21904 is gone and left no exit record" in said(a_run("lost", **ended))
    assert said(a_run("interrupted", **ended)) == (
        "interrupted: the machine restarted. R resumes at 1.4M"
    )


def test_a_shell_is_told_commands_and_no_keys() -> None:
    def told(run: Run) -> str:
        return said(run, orders=SHELL_COMMANDS)

    again = "`hdtui runs resume 209`"
    assert told(a_run("failed", reason="a")) == f"failed: a. {again} retries"
    assert told(a_run("stopped")) == f"stopped before its first report. {again} resumes"
    at = f"{again} resumes at 1.4M"
    assert told(a_run("interrupted", checkpoint_step=1_400_000)).endswith(at)
    assert told(a_run("stopping")).endswith("`hdtui runs stop 209 --kill` kills it now")
    assert "`hdtui runs resume 8` lets this go on" in told(a_run("queued", blocked_by=8))


def test_time_left_is_unknown_without_a_rate() -> None:
    assert left_s(a_run("running", done=1e6, total=2e6)) is None
    assert left_s(a_run("running", done=1e6, total=2e6, rate=4000.0)) == 250.0
    assert left_s(a_run("stopped", done=1e6, total=2e6, rate=4000.0)) is None
