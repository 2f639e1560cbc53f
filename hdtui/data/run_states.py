"""States as the cockpit shows them: glyph, role, and the sentence that proves each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isinf

from db.records import Run, RunState
from engine.workers.machines import SILENT_AFTER_S
from engine.workers.post_mortem import has_diverged
from hdtui.formatting import duration, moment, steps

STALLED = "stalled"
STALLED_AFTER_S = 30.0
STALLED_GAPS = 5.0
STOP_GRACE_S = 30.0

GLYPHS: Mapping[str, tuple[str, str]] = {
    "queued": ("∙", "muted"),
    "starting": ("◦", "accent"),
    "running": ("►", "accent"),
    STALLED: ("~", "warn"),
    "stopping": ("◄", "warn"),
    "finished": ("✓", "good"),
    "stopped": ("▪", "text"),
    "failed": ("✗", "bad"),
    "lost": ("†", "bad bold"),
    "interrupted": ("◊", "odd"),
}


@dataclass(frozen=True)
class Orders:
    """What a reader types to answer a sentence; ``{run}`` stands for the run's number."""

    resume: str = "R"
    resume_other: str = "R there"
    kill: str = "X offers to kill it now"
    clone: str = " C clones it with other settings"


COCKPIT_KEYS = Orders()
SHELL_COMMANDS = Orders(
    "`hdtui runs resume {run}`",
    "`hdtui runs resume {run}`",
    "`hdtui runs stop {run} --kill` kills it now",
    "",
)


@dataclass(frozen=True)
class Surroundings:
    """What a sentence needs to know besides its run."""

    now: datetime
    boot_id: str | None = None
    waits_for: Mapping[int, Run] = field(default_factory=dict)
    slots: int | None = None
    slots_in_use: int | None = None
    elsewhere: Mapping[int, float] = field(default_factory=dict)
    """Runs of other machines, and for how many seconds those were not heard of."""
    owners: Mapping[int, str] = field(default_factory=dict)
    """Runs whose processes are another user's, who alone may end them."""
    orders: Orders = COCKPIT_KEYS


@dataclass(frozen=True)
class RunView:
    """A run as a reader judges it now."""

    run: Run
    shown: str
    sentence: str

    @property
    def glyph(self) -> str:
        return GLYPHS[self.shown][0]

    @property
    def role(self) -> str:
        return GLYPHS[self.shown][1]


def view(run: Run, around: Surroundings) -> RunView:
    """The run with the state to show and its sentence."""
    shown = shown_state(run, around.now)
    return RunView(run, shown, sentence(run, shown, around))


def shown_state(run: Run, now: datetime) -> str:
    """The stored state, or ``stalled`` for a running one that is silent for unusually long."""
    if run.state is not RunState.RUNNING:
        return str(run.state)
    silent_s = silence_s(run, now)
    usual_s = run.report_gap_s or 0.0
    if silent_s >= STALLED_AFTER_S and silent_s >= STALLED_GAPS * usual_s:
        return STALLED
    return str(run.state)


def silence_s(run: Run, now: datetime) -> float:
    """Seconds since the last report, or since the start where there was none."""
    last = run.reported_at or run.started_at or run.created_at
    return max(0.0, (now - last).total_seconds())


def elapsed_s(run: Run, now: datetime) -> float | None:
    """Seconds since the start, or from start to end; of a resumed run, those of all attempts."""
    if run.started_at is None:
        return None
    attempt_s = max(0.0, ((run.ended_at or now) - run.started_at).total_seconds())
    return max(attempt_s, run.worked_s) if run.attempt > 1 else attempt_s


def left_s(run: Run) -> float | None:
    """Seconds to the end at the present rate, None where total or rate is unknown."""
    if run.total is None or run.done is None or not run.rate or not run.state.active:
        return None
    return max(0.0, (run.total - run.done) / run.rate)


def sentence(run: Run, shown: str, around: Surroundings) -> str:
    if shown == "queued":
        return _queued(run, around)
    if shown in {"starting", "running", STALLED, "stopping"}:
        return _active(run, shown, around)
    return _ended(run, shown, around)


def _queued(run: Run, around: Surroundings) -> str:
    if run.blocked_by is not None:
        there = around.orders.resume_other.format(run=run.blocked_by)
        return f"waits: {run.blocked_by} did not finish; {there} lets this go on"
    if run.id in around.elsewhere:
        return f"waits for {run.host}{_silent(run, around)}"
    if run.queued_boot_id and around.boot_id and run.queued_boot_id != around.boot_id:
        resume = around.orders.resume.format(run=run.id)
        return f"not started: the machine restarted, {resume} lets the queue go on"
    waits = [around.waits_for[run_id] for run_id in run.waits_for if run_id in around.waits_for]
    # Those that were stopping have to end, whatever they end as.
    waits += [
        around.waits_for[run_id]
        for run_id in run.waits_for_end_of
        if run_id in around.waits_for and around.waits_for[run_id].state.active
    ]
    if waits:
        names = " and ".join(f"{other.id} {other.kind}" for other in waits)
        return f"waits for {names}"
    if around.slots is not None and around.slots_in_use is not None:
        return f"waits for a slot, {around.slots_in_use} of {around.slots} in use"
    return "waits for a slot"


def _active(run: Run, shown: str, around: Surroundings) -> str:
    now = around.now
    elsewhere = run.id in around.elsewhere
    if shown == "starting":
        pid = f", pid {run.pid}" if run.pid else ""
        return f"starting for {duration(_since(run.started_at or run.created_at, now))}{pid}"
    if shown == "stopping":
        return _stopping(run, around)
    ago = duration(silence_s(run, now))
    seen = f"seen {ago} ago from {run.host}" if elsewhere else f"last report {ago} ago"
    if silent := _silent(run, around):
        return f"was at work on {run.host}{silent}"
    if shown == STALLED:
        usual = f", usually every {duration(run.report_gap_s)}" if run.report_gap_s else ""
        alive = "" if elsewhere else f"process {run.pid} is alive, "
        return f"{alive}{seen}{usual}"
    if run.reported_at is None and not elsewhere:
        seen = "no report yet"
    return f"running {duration(elapsed_s(run, now))}, {seen}"


def _silent(run: Run, around: Surroundings) -> str:
    """What to say of a machine that nobody hears any more; empty of one that is heard."""
    silent_s = around.elsewhere.get(run.id, 0.0)
    if silent_s < SILENT_AFTER_S:
        return ""
    heard = "was never heard of" if isinf(silent_s) else f"not heard of for {duration(silent_s)}"
    return f", {heard}; `hdtui runs lost {run.host}` writes it off"


def _stopping(run: Run, around: Surroundings) -> str:
    kill = around.orders.kill.format(run=run.id)
    for_s = _since(run.stop_requested_at or run.reported_at or run.created_at, around.now)
    if silent := _silent(run, around):
        return f"stopping for {duration(for_s)} on {run.host}{silent}"
    if run.id in around.owners:
        owner = around.owners[run.id]
        return (
            f"stopping for {duration(for_s)}: it reads the request and leaves; its process is "
            f"{owner}'s, who alone can kill it"
        )
    if run.kill_requested_at is not None:
        return f"stopping for {duration(for_s)}: being killed"
    left = max(0.0, STOP_GRACE_S - for_s)
    return (
        f"stopping for {duration(for_s)}: writes a checkpoint; killed in {duration(left)} "
        f"if still there, {kill}"
    )


def _ended(run: Run, shown: str, around: Surroundings) -> str:
    resume = around.orders.resume.format(run=run.id)
    if shown == "finished":
        stale = ". Stale: an input has worked again since" if run.stale else ""
        return f"finished in {duration(elapsed_s(run, around.now))}{stale}"
    if shown == "stopped":
        return f"{_stopped(run)}. {resume} resumes"
    if shown == "failed":
        return _failed(run, resume, around.orders.clone)
    at = f" at {steps(run.checkpoint_step)}" if run.checkpoint_step else ""
    resumes = f"{resume} resumes{at}"
    if shown == "lost":
        gone = f"process {run.pid} is gone and left no exit record" if run.pid else "no process"
        if run.reason and not run.reason.startswith("process "):
            gone = run.reason
        noticed = f", noticed {moment(run.ended_at, around.now)}" if run.ended_at else ""
        return f"lost: {gone}{noticed}. {resumes}"
    return f"interrupted: {run.reason or 'the machine restarted'}. {resumes}"


def _stopped(run: Run) -> str:
    kept = ", checkpoint kept" if run.checkpoint_step is not None else ""
    if run.done is None:
        return f"stopped before its first report{kept}"
    of_total = f" of {steps(run.total)}" if run.total else ""
    unit = f" {run.unit}" if run.unit else ""
    return f"stopped at {steps(run.done)}{of_total}{unit}{kept}"


def _failed(run: Run, resume: str, clone: str) -> str:
    code = f"exit code {run.exit_code}, " if run.exit_code is not None else ""
    reason = run.reason or "no reason was left; its log may say more"
    if has_diverged(run):
        # Resumed it would do the same again; its reason says what is left and what to do.
        return f"failed: {code}{reason.rstrip('.')}.{clone}"
    again = (
        f" Last good checkpoint at {steps(run.checkpoint_step)}. {resume} retries from it"
        if run.checkpoint_step
        else f" {resume} retries"
    )
    return f"failed: {code}{reason.rstrip('.')}.{again}"


def _since(at: datetime, now: datetime) -> float:
    return max(0.0, (now - at).total_seconds())
