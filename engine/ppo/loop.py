"""The training loop: the first process leads, the others follow its announcements."""

import json
import time
from pathlib import Path
from typing import Any

from engine.errors import StopRequestedError
from engine.events import ArtifactWritten, CheckpointWritten, Progress, Result, StageContext
from engine.ppo.exchange import Exchange
from engine.ppo.reports import iteration_metrics, own_report
from engine.ppo.share import IterationSummary, Share
from engine.ppo.snapshots import own_state, restore_snapshot, save_policy, save_snapshot

_ITERATE: dict[str, Any] = {"action": "iterate"}
_SAVE: dict[str, Any] = {"action": "save"}
_END: dict[str, Any] = {"action": "end"}


def follow(share: Share, exchange: Exchange, resume_from: Path | None) -> None:
    """Do as the first process says, until it says that the run is over."""
    _begin(share, exchange, resume_from)
    while (decision := exchange.announce(None)) != _END:
        if decision == _SAVE:
            exchange.gather(own_state(share))
        else:
            exchange.gather(_encoded(share, share.iterate(exchange)))


def lead(share: Share, exchange: Exchange, context: StageContext) -> Path:
    """Train until the steps are done or the time is up; returns the last checkpoint.

    Raises:
        StopRequestedError: a stop was asked for; the checkpoint is written.
        DivergenceError: a gradient is not finite or the policy moved too far; the last
            checkpoint stays as it is.
    """
    _begin(share, exchange, context.resume_from)
    saved_at, mean_return = time.monotonic(), None
    while not share.over:
        mean_return = _iterate(share, exchange, context)
        stop = context.should_stop()
        if stop or time.monotonic() - saved_at >= share.config.checkpoint_every_s:
            _save(share, exchange, context, mean_return)
            saved_at = time.monotonic()
        if stop:
            exchange.announce(_END)
            raise StopRequestedError(f"stopped at {share.env_steps} control steps")
    path = _save(share, exchange, context, mean_return)
    exchange.announce(_END)
    policy = context.folder / f"policy-a{context.attempt}.safetensors"
    context.report(ArtifactWritten("policy", policy.stem, policy, save_policy(share, policy)))
    return path


def _begin(share: Share, exchange: Exchange, resume_from: Path | None) -> None:
    if resume_from is None:
        share.measure(exchange)
    else:
        restore_snapshot(share, resume_from)


def _iterate(share: Share, exchange: Exchange, context: StageContext) -> float | None:
    """One iteration, reported; returns the mean return if any episode has ended."""
    exchange.announce(_ITERATE)
    start, steps_before = time.perf_counter(), share.env_steps
    summary = share.iterate(exchange)
    reports = [json.loads(content) for content in exchange.gather(_encoded(share, summary))]
    seconds = time.perf_counter() - start
    share.trained_s += seconds
    steps_per_second = (share.env_steps - steps_before) / seconds
    metrics = iteration_metrics(share, summary, reports, seconds, steps_per_second)
    context.report(metrics)
    context.report(
        Progress(share.env_steps, share.config.total_env_steps, "steps", steps_per_second)
    )
    mean_return = metrics.values.get("return")
    if mean_return is not None:
        context.report(Result(mean_return, f"return {mean_return:.0f}", "sampled_return"))
    return mean_return


def _save(share: Share, exchange: Exchange, context: StageContext, value: float | None) -> Path:
    exchange.announce(_SAVE)
    name = f"checkpoint-a{context.attempt}-{share.iteration:06d}.safetensors"
    path = context.folder / name
    sha256 = save_snapshot(share, exchange, path)
    context.report(CheckpointWritten(share.env_steps, path, sha256, value))
    return path


def _encoded(share: Share, summary: IterationSummary) -> bytes:
    return json.dumps(own_report(share, summary)).encode()
