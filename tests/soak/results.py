"""Everything of a run that must be the same however often it was disturbed."""

from collections.abc import Hashable

from sqlalchemy import select

from db.models import EpisodeRow
from db.queries.artifacts import list_artifacts
from db.queries.metrics import list_series, read_points
from db.queries.runs import list_runs
from db.records import Run
from db.session import Database

TIMED = ("share_", "steps_per_second", "samples_per_s")
"""Curves that say how fast it went."""
OF_ATTEMPT = ("policy", "student")
"""Files named after the attempt that wrote them."""
DIFFERING = ("poses", "evaluation")
"""Files of these kinds name run numbers, or say how long it took; what they show is compared."""
ALL_POINTS = 10_000_000

Results = dict[str, Hashable]


def results_of_pipeline(database: Database, pipeline: int) -> dict[str, Results]:
    """What each stage of it came to."""
    return {run.kind: results(database, run) for run in list_runs(database, pipeline=pipeline)}


def results(database: Database, run: Run) -> Results:
    """Its figures, the hashes of its files, its episodes and its curves, number by number."""
    files = {
        (file.kind, "" if file.kind in OF_ATTEMPT else file.name): (
            "" if file.kind in DIFFERING else file.sha256
        )
        for file in list_artifacts(database, run.id)
    }
    return {
        "state": run.state,
        "result": run.result,
        "sentence": run.result_text,
        "files": frozenset(files.items()),
        "episodes": _episodes(database, run.id),
        "curves": _curves(database, run.id),
    }


def differences(one: dict[str, Results], other: dict[str, Results]) -> list[str]:
    """In which stages and respects two pipelines differ."""
    return [
        f"{kind}: {respect} differ"
        for kind in sorted(one.keys() | other.keys())
        for respect in ("state", "result", "sentence", "files", "episodes", "curves")
        if one.get(kind, {}).get(respect) != other.get(kind, {}).get(respect)
    ]


def _episodes(database: Database, run_id: int) -> frozenset[Hashable]:
    columns = [column for column in EpisodeRow.__table__.columns if column.name != "run_id"]
    with database.read() as session:
        rows = session.execute(select(*columns).where(EpisodeRow.run_id == run_id))
        return frozenset(tuple(row) for row in rows)


def _curves(database: Database, run_id: int) -> frozenset[Hashable]:
    found = []
    for series in list_series(database, run_id):
        if not series.name.startswith(TIMED):
            points = read_points(database, series.id, max_points=ALL_POINTS)
            numbers = tuple(zip(points.step, points.value, strict=True))
            found.append((series.name, series.robot_digest, numbers))
    return frozenset(found)
