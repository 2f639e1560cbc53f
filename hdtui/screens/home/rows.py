"""How Home writes stages, active runs, shares of time, load and events."""

from collections.abc import Mapping
from datetime import datetime

from db.records import RunEvent
from hdtui import formatting
from hdtui.data.cockpit import Cockpit
from hdtui.data.home import HALTED, HomeSnapshot, PipelineStage, TimeSplit
from hdtui.data.machine import MachineLoad
from hdtui.data.run_states import GLYPHS, RunView
from hdtui.widgets import run_cells
from hdtui.widgets.bars import block_bar
from hdtui.widgets.lines import BLANK, Line, Span, left_and_right
from hdtui.widgets.table import Column, TableRow

PROGRESS_WIDTH = 18
ACTIVE_COLUMNS = (
    Column("state", "", 1, gap=1),
    Column("id", "id", 4, gap=1),
    Column("kind", "kind", 10),
    Column("name", "name", 23, leaves_first=9),
    Column("progress", "progress", PROGRESS_WIDTH),
    Column("done", "done", 14, gap=1, leaves_first=3),
    Column("rate", "rate", 7, leaves_first=2),
    Column("left", "left", 7, gap=1, leaves_first=1),
    Column("result", "result", 7, right=True, leaves_first=4),
)
EVENT_COLUMNS = (
    Column("at", "", 11, gap=1, leaves_first=1),
    Column("state", "", 1, gap=1),
    Column("id", "", 4, gap=1),
    Column("text", "", 20, grow=True, gap=0),
)
PROGRESS_PLACE = 4
WORST_FIRST = (
    "failed",
    "lost",
    "interrupted",
    "stalled",
    "stopping",
    "running",
    "starting",
    "stopped",
    "queued",
    "finished",
)
NOTHING_YET = HomeSnapshot(
    pipeline=None,
    previous=None,
    stages=(),
    active=(),
    halted=(),
    queued=(),
    slots=None,
    slots_in_use=0,
    events=(),
    states={},
    num_alerts=0,
    results=(),
    forecast=None,
)
"""What Home shows of a workspace in which nothing was ever run."""

_ROOM_FOR_SECONDS = 12


def stage_columns(facts: HomeSnapshot, at: datetime, roomy: bool) -> list[list[Line]]:
    """The lines of every stage: name, state, progress or result, what it waits for, ids."""
    progress_width = 12 if roomy or len(facts.stages) < 7 else 10
    return [_stage_column(stage, at, roomy, progress_width) for stage in facts.stages]


def _stage_column(
    stage: PipelineStage, at: datetime, roomy: bool, progress_width: int
) -> list[Line]:
    lead = min(stage.runs, key=lambda each: WORST_FIRST.index(each.shown))
    lines: list[Line] = [
        (Span(str(stage.kind), "text bold"),),
        (Span(f"{lead.glyph} {lead.shown}", lead.role),),
        _stage_detail(stage, lead, progress_width),
    ]
    if roomy:
        # What has ended tells its result in the row above, where work in progress has its bar.
        tells = lead.run.state.active and lead.run.result is not None
        shown = run_cells.headline_text(lead.run) if tells else ""
        lines.append((Span(shown, "text"),))
    ids = " ".join(str(each.run.id) for each in stage.runs[:3])
    more = "…" if len(stage.runs) > 3 else ""
    took = f" · {run_cells.took_text(lead.run, at)}" if lead.run.started_at else ""
    if progress_width < _ROOM_FOR_SECONDS:
        took = took.rpartition(" ")[0] if "m " in took else took  # 5m of 5m 13s
    lines.append((Span(f"{ids}{more}{took}", "muted"),))
    return lines


def _stage_detail(stage: PipelineStage, lead: RunView, progress_width: int) -> Line:
    run = lead.run
    if run.state.active and run.progress is not None:
        return run_cells.progress_cell(run, progress_width)
    if lead.shown == "queued":
        inputs = " ".join(str(run_id) for run_id in run.inputs)
        return (Span(f"after {inputs}" if inputs else "", "muted"),)
    if len(stage.runs) > 1:
        finished = sum(1 for each in stage.runs if each.shown == "finished")
        return (Span(f"{finished} of {len(stage.runs)}"),)
    words = run_cells.headline_text(run) if run.result is not None or run.result_text else ""
    return (Span(words if len(words) <= 13 else " ".join(words.split()[:2])),)


def active_row(view: RunView, cockpit: Cockpit, at: datetime) -> TableRow:
    """An active run, or one that waits."""
    run = view.run
    waits = view.shown in {"queued", "starting", *HALTED}
    return TableRow(
        cells=(
            run_cells.glyph_cell(view),
            run_cells.number(str(run.id)),
            (Span(str(run.kind)),),
            (Span(formatting.shorten(formatting.printable(run.name), 23)),),
            run_cells.progress_cell(run, PROGRESS_WIDTH),
            run_cells.number(run_cells.done_text(run)),
            run_cells.number(run_cells.rate_text(run)),
            run_cells.number(run_cells.left_text(run)),
            run_cells.number(formatting.shorten(run_cells.headline_text(run), 7)),
        ),
        mark="P" if run.id == cockpit.pinned_run else "*" if run.id in cockpit.marked_runs else " ",
        instead=(Span(view.sentence, view.role if view.shown != "queued" else "muted"),)
        if waits
        else BLANK,
        instead_from=PROGRESS_PLACE,
    )


def event_row(event: RunEvent, states: Mapping[int, str], at: datetime) -> TableRow:
    """An event with its run's number; the glyph is that of what happened."""
    shown = event.kind if event.kind in GLYPHS else states.get(event.run_id or 0, "")
    glyph, role = GLYPHS.get(shown, (" ", "muted"))
    text_role = {"error": "bad", "warning": "warn"}.get(event.level, "text")
    return TableRow(
        cells=(
            (Span(formatting.moment(event.at, at), "muted"),),
            (Span(glyph, role),),
            (Span(str(event.run_id or "")),),
            (Span(formatting.printable(event.text), text_role),),
        )
    )


def split_lines(split: TimeSplit, width: int) -> list[Line]:
    """Shares of time as bars from zero; 100 % would fill the bar's room."""
    name_width = min(14, max([11, *(len(name) for name, _ in split.shares)]))
    room = max(4, width - name_width - 10)
    lines: list[Line] = []
    for name, share in split.shares[:5]:
        bar = block_bar(share, room)
        lines.append(
            (
                Span(f" {name:<{name_width}} "),
                Span(bar, "accent"),
                Span(formatting.percent(share).rjust(5)),
            )
        )
    return lines


def machine_lines(load: MachineLoad, width: int) -> list[Line]:
    """Cores, memory, disk, GPU and run folders."""
    room = max(4, min(15, width - 25))
    cores = load.cpu_share * load.num_cores if load.cpu_share is not None else None
    cpu = f"{formatting.UNKNOWN if cores is None else f'{cores:.1f}'} of {load.num_cores} cores"
    used, total = load.memory_used / 2**30, load.memory_total / 2**30
    bars = (
        ("CPU", load.cpu_share or 0.0, cpu),
        ("memory", load.memory_used / load.memory_total, f"{used:.1f} of {total:.1f} GiB"),
        ("disk", load.disk_share, f"{formatting.size(load.disk_free)} free"),
    )
    lines: list[Line] = [
        (
            Span(f" {name:<8}"),
            Span(block_bar(share, room), "warn" if share > 0.95 else "accent"),
            Span(f" {words}"),
        )
        for name, share, words in bars
    ]
    lines.append((Span(" GPU     "), Span(load.gpu, "muted" if load.gpu == "none" else "text")))
    folders = f"{formatting.size(load.runs_bytes)} in {load.num_folders} folders"
    lines.append((Span(" runs    "), Span(folders)))
    return lines


def result_lines(facts: HomeSnapshot, width: int) -> list[Line]:
    """The latest headlines of finished runs."""
    lines: list[Line] = []
    for each in facts.results:
        run = each.run
        left: Line = (
            Span(f" {run.id} ", "muted"),
            Span(f"{run.kind} {formatting.printable(run.name)} "),
        )
        lines.append(left_and_right(left, (Span(f"{run_cells.headline_text(run)} "),), width))
    return lines or [(Span(" No results yet.", "muted"),)]
