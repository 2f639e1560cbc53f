"""Runs of the demo: every state, every stage, all with names that begin with ``demo``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from db.machine import host_name
from db.records import Pipeline, Run, RunKind, RunState
from engine.config.presets import PRESETS, PipelineConfig
from engine.workers.process import this_process

TRAINING_SET, UNSEEN_SET, MUTANT_SET = "demo-training", "demo-unseen", "demo-mutants"
STAGES = (
    RunKind.GENERATION,
    RunKind.TEACHER,
    RunKind.MUTATION,
    RunKind.COLLECTION,
    RunKind.STUDENT,
    RunKind.EVALUATION,
    RunKind.DEPLOYMENT,
)
_TOOK_S = (14, 1_432, 9, 96, 296, 131, 6)
_TOTALS = ((12, "robots"), (5_300_000, "steps"), (8, "robots"), (48, "robots"))
_TOTALS_AFTER = ((5_200, "gradient steps"), (640, "episodes"), (8, "robots"))
_PRESETS: Mapping[str, PipelineConfig] = {str(name): each for name, each in PRESETS.items()}
_NOTE = "demo: made up, nothing was trained"


@dataclass(frozen=True)
class Ending:
    """How a teacher that stands alone ended."""

    state: RunState
    done: float
    facts: Mapping[str, Any]


ENDINGS = (
    Ending(RunState.STOPPED, 1.2e6, {"checkpoint_step": 1_200_000}),
    Ending(
        RunState.FAILED,
        9.6e5,
        {
            "checkpoint_step": 900_000,
            "exit_code": 1,
            "reason": "demo: value loss is NaN at iteration 118",
        },
    ),
    Ending(RunState.LOST, 1.4e6, {"checkpoint_step": 1_400_000, "pid": 19_120}),
    Ending(
        RunState.INTERRUPTED,
        1.4e6,
        {"checkpoint_step": 1_400_000, "reason": "demo: the machine restarted"},
    ),
)


def blank(number: int, kind: RunKind, name: str, created_at: datetime, preset: str) -> Run:
    """A queued run of the demo with the real configuration of its stage."""
    return Run(
        id=number,
        kind=kind,
        name=name,
        state=RunState.QUEUED,
        pipeline=None,
        group=None,
        host=host_name(),
        device="cpu",
        attempt=0,
        pid=None,
        pid_started_at=None,
        boot_id=None,
        seed=1,
        config=getattr(_PRESETS[preset], kind.value).model_dump(mode="json"),
        inputs=(),
        robot_sets=(TRAINING_SET,),
        folder=f"runs/{number}",
        versions={"hdtui": "demo"},
        reason=None,
        exit_code=None,
        progress=None,
        done=None,
        total=None,
        unit=None,
        rate=None,
        result=None,
        result_text=None,
        report_gap_s=None,
        created_at=created_at,
        started_at=None,
        ended_at=None,
        reported_at=None,
        checkpoint_step=None,
        note=_NOTE,
        tags=("demo",),
    )


def finished_pipeline(pipeline: Pipeline, first: int, level: float) -> list[Run]:
    """The seven runs of a pipeline that is through; ``level`` is the teacher's return."""
    runs = []
    start = pipeline.created_at
    texts = {
        RunKind.GENERATION: (12.0, "robots", "8 training robots and 4 unseen robots"),
        RunKind.TEACHER: (level, "sampled_return", f"mean return {level:.0f} on 8 robots"),
        RunKind.MUTATION: (16.0, "mutants", "16 mutants of 4 robots, all valid"),
        RunKind.COLLECTION: (
            192_000.0,
            "samples",
            f"192000 samples of 48 robots, mean return {level:.0f}",
        ),
        RunKind.STUDENT: (0.0112, "loss", "held-out loss 0.0112 after 5200 gradient steps"),
        RunKind.EVALUATION: (
            0.96,
            "ratio",
            "student keeps of its teacher's return: 0.96 on training robots",
        ),
        RunKind.DEPLOYMENT: (8.0, "policies", "8 policies, 73 kB at most"),
    }
    for place, (kind, took_s) in enumerate(zip(STAGES, _TOOK_S, strict=True)):
        run = _in_pipeline(pipeline, kind, first, place)
        total, unit = (*_TOTALS, *_TOTALS_AFTER)[place]
        result, result_kind, text = texts[kind]
        end = start + timedelta(seconds=took_s)
        runs.append(
            replace(
                run,
                state=RunState.FINISHED,
                attempt=1,
                started_at=start,
                ended_at=end,
                reported_at=end,
                worked_s=float(took_s),
                done=float(total),
                total=float(total),
                unit=unit,
                exit_code=0,
                result=result,
                result_kind=result_kind,
                result_text=f"demo: {text}",
                checkpoint_step=total if kind in (RunKind.TEACHER, RunKind.STUDENT) else None,
            )
        )
        start = end
    return runs


def working_pipeline(pipeline: Pipeline, first: int, now: datetime) -> list[Run]:
    """The seven runs of a pipeline whose teacher works now; this process plays its worker."""
    through = finished_pipeline(pipeline, first, 0.0)
    waiting = [_in_pipeline(pipeline, kind, first, place) for place, kind in enumerate(STAGES)]
    teacher = working(replace(waiting[1], total=2e6, unit="steps"), now - timedelta(seconds=271))
    mutation = replace(through[2], started_at=through[1].started_at, ended_at=teacher.started_at)
    return [through[0], teacher, mutation, *waiting[3:]]


def working(run: Run, started_at: datetime) -> Run:
    """A run at work in this process, as far as anybody can tell."""
    me = this_process()
    return replace(
        run,
        state=RunState.RUNNING,
        attempt=1,
        started_at=started_at,
        pid=me.pid,
        pid_ticks=me.ticks,
        boot_id=me.boot_id,
        report_gap_s=2.2,
    )


def lone_teachers(first: int, now: datetime) -> list[Run]:
    """Teachers that did not get through, one for each way to end, and an archived one."""
    runs = []
    for place, ending in enumerate(ENDINGS):
        created = now - timedelta(hours=5 - place)
        run = blank(first + place, RunKind.TEACHER, f"demo-mlp-s{place + 1}", created, "quick")
        facts = {
            "state": ending.state,
            "attempt": 1,
            "started_at": created,
            "ended_at": created + timedelta(minutes=4, seconds=11 * place),
            "done": ending.done,
            "total": 2e6,
            "unit": "steps",
            "result": 300.0 + 90 * place,
            "result_kind": "sampled_return",
            **ending.facts,
        }
        runs.append(replace(run, **facts))
    return runs


def _in_pipeline(pipeline: Pipeline, kind: RunKind, first: int, place: int) -> Run:
    inputs = {
        RunKind.GENERATION: (),
        RunKind.TEACHER: (0,),
        RunKind.MUTATION: (0,),
        RunKind.COLLECTION: (1, 2),
        RunKind.STUDENT: (3,),
        RunKind.EVALUATION: (1, 4),
        RunKind.DEPLOYMENT: (4,),
    }
    sets = (TRAINING_SET, MUTANT_SET) if kind is RunKind.COLLECTION else (TRAINING_SET,)
    run = blank(first + place, kind, pipeline.name, pipeline.created_at, pipeline.preset)
    return replace(
        run,
        pipeline=pipeline.id,
        seed=pipeline.seed,
        config={**run.config, "seed": pipeline.seed},
        robot_sets=() if kind is RunKind.GENERATION else sets,
        inputs=tuple(first + needed for needed in inputs[kind]),
    )
