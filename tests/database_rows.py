"""What tests write into a database in one transaction, and read of its rows."""

from collections.abc import Iterable

from sqlalchemy import select

from db.models import AttemptRow
from db.queries.evaluations import insert_episodes
from db.queries.runs import insert_pipeline
from db.records import Pipeline
from db.session import Database
from engine.events import Episode


def create_pipeline(
    database: Database, name: str, preset: str, robot_set: str, seed: int
) -> Pipeline:
    """A new group that runs can be queued into."""
    with database.write() as session:
        return insert_pipeline(session, name, preset, robot_set, seed)


def record_episodes(database: Database, run_id: int, episodes: Iterable[Episode]) -> None:
    """Evaluated episodes; one that is known already stays as it is."""
    with database.write() as session:
        insert_episodes(session, run_id, episodes)


def list_attempts(database: Database, run_id: int) -> list[AttemptRow]:
    """The processes that worked on a run, first to last."""
    query = select(AttemptRow).where(AttemptRow.run_id == run_id).order_by(AttemptRow.number)
    with database.read() as session:
        return list(session.scalars(query))
