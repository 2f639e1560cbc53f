"""The training loop: the first process leads, the others follow its announcements."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import StopRequestedError
from engine.events import ArtifactWritten, CheckpointWritten, Progress, Result, StageContext
from engine.ppo.exchange import AbandonedError, Exchange, Spoke
from engine.ppo.reports import iteration_metrics, own_report
from engine.ppo.snapshots import own_state, restore_snapshot, save_policy, save_snapshot
from engine.ppo.trainer import IterationSummary, Trainer

_SAVE: dict[str, Any] = {"action": "save"}
_END: dict[str, Any] = {"action": "end"}
_SLOW_S = 3.0
"""Seconds after which an iteration does not hold a stop up: it is given up, and begun again later.

A shorter one is finished first, and where it began is not kept, which would cost more.
"""


def run_member(trainer: Trainer, exchange: Spoke, resume_from: Path | None) -> None:
    """Do as the first process says, until it says that the run is over."""
    if resume_from is not None:
        restore_snapshot(trainer, resume_from)
    while (decision := exchange.announce(None)) != _END:
        if decision == _SAVE:
            exchange.gather(own_state(trainer))
            continue
        if decision["keep"]:
            trainer.keep()
        try:
            if decision["action"] == "measure":
                trainer.warm_up_moments(exchange, exchange.listen)
            else:
                summary = trainer.iterate(exchange, exchange.listen)
                exchange.gather(_encoded(trainer, summary))
                if summary.update.divergence is not None:
                    raise summary.update.divergence
        except AbandonedError:
            trainer.go_back()
            exchange.abandon()


def run_leader(trainer: Trainer, exchange: Exchange, context: StageContext) -> Path:
    """Train until the steps are done or the time is up; returns the last checkpoint.

    A stop, or the end of the time, does not wait for a slow iteration: what it did is given up and
    the checkpoint is of its start, from which a resumed run does the same again.

    Raises:
        StopRequestedError: a stop was asked for; the checkpoint is written.
        DivergenceError: a gradient is not finite or the policy moved too far; the last
            checkpoint stays as it is.
    """
    if context.resume_from is not None:
        restore_snapshot(trainer, context.resume_from)
    saves = _Saves(trainer, exchange, context)
    mean_return, slow = None, True
    while not trainer.over:
        began = time.monotonic()
        try:
            mean_return = _advance(trainer, exchange, context, slow=slow)
        except AbandonedError:
            trainer.go_back()
            if trainer.time_is_up(time.monotonic() - began):
                trainer.trained_s = trainer.config.time_limit_s
        slow = time.monotonic() - began > _SLOW_S
        stop = context.should_stop()
        if stop or saves.due:
            saves.save(mean_return)
        if stop:
            exchange.announce(_END)
            raise StopRequestedError(f"stopped at {trainer.env_steps} control steps")
    path = saves.save(mean_return)
    exchange.announce(_END)
    policy = context.folder / f"policy-a{context.attempt}.safetensors"
    context.report(ArtifactWritten("policy", policy.stem, policy, save_policy(trainer, policy)))
    return path


def _advance(
    trainer: Trainer, exchange: Exchange, context: StageContext, *, slow: bool
) -> float | None:
    """The collection before learning, or one iteration; the mean return if any episode has ended.

    Raises:
        AbandonedError: a stop was asked for, or the time was up, half-way through a slow one.
    """
    began = time.monotonic()

    def pause() -> None:
        # Asked in short iterations too: whoever asks has what was reported written down.
        taken_s = time.monotonic() - began
        leave = context.should_stop() or trainer.time_is_up(taken_s)
        if leave and slow and taken_s > _SLOW_S:
            exchange.abandon()
            raise AbandonedError

    action = "measure" if trainer.iteration == 0 else "iterate"
    # The first may be a slow one, too.
    exchange.announce({"action": action, "keep": slow})
    if slow:
        trainer.keep()
    if action == "measure":
        trainer.warm_up_moments(exchange, pause)
        return None
    return _iterate(trainer, exchange, context, pause)


def _iterate(
    trainer: Trainer, exchange: Exchange, context: StageContext, pause: Callable[[], None]
) -> float | None:
    """One iteration, reported; returns the mean return if any episode has ended.

    Raises:
        DivergenceError: it diverged; its numbers are reported all the same.
    """
    start, steps_before = time.perf_counter(), trainer.env_steps
    summary = trainer.iterate(exchange, pause)
    reports = [json.loads(content) for content in exchange.gather(_encoded(trainer, summary))]
    seconds = time.perf_counter() - start
    trainer.trained_s += seconds
    steps_per_second = (trainer.env_steps - steps_before) / seconds
    metrics = iteration_metrics(trainer, summary, reports, seconds, steps_per_second)
    context.report(metrics)
    context.report(
        Progress(trainer.env_steps, trainer.config.total_env_steps, "steps", steps_per_second)
    )
    mean_return = metrics.values.get("return")
    if mean_return is not None:
        context.report(Result(mean_return, f"return {mean_return:.0f}", "sampled_return"))
    if summary.update.divergence is not None:
        raise summary.update.divergence
    return mean_return


class _Saves:
    """The checkpoints of this attempt: one an iteration at most."""

    def __init__(self, trainer: Trainer, exchange: Exchange, context: StageContext) -> None:
        self._trainer, self._exchange, self._context = trainer, exchange, context
        self._saved_at = time.monotonic()
        self._last: Path | None = None

    @property
    def due(self) -> bool:
        return time.monotonic() - self._saved_at >= self._trainer.config.checkpoint_every_s

    def save(self, value: float | None) -> Path:
        """Write where the run stands, unless that is written; the file."""
        trainer, context = self._trainer, self._context
        name = f"checkpoint-a{context.attempt}-{trainer.iteration:06d}.safetensors"
        path = context.folder / name
        if path != self._last:
            self._exchange.announce(_SAVE)
            sha256 = save_snapshot(trainer, self._exchange, path)
            context.report(CheckpointWritten(trainer.env_steps, path, sha256, value))
        self._last, self._saved_at = path, time.monotonic()
        return path


def _encoded(trainer: Trainer, summary: IterationSummary) -> bytes:
    return json.dumps(own_report(trainer, summary)).encode()
