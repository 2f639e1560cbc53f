"""The tables. Rows never leave this package: queries turn them into records.

Times are stored in UTC. ``points`` has no row ids: its key is the series and the step, so a point
exists once or not at all; ``extreme_points`` has those that are no plain numbers. ``rollups`` keeps
one row per ``ROLLUP_SIZE`` consecutive points of a series, so that a million points are drawn from
sixteen thousand rows.
"""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ROLLUP_SIZE = 64
Record = TypeVar("Record")


def record_of(kind: type[Record], row: Any, /, **derived: Any) -> Record:
    """A row as a record: what is not given is the column of the same name."""
    columns = (field.name for field in fields(kind) if field.name not in derived)  # type: ignore[arg-type]
    return kind(**{name: getattr(row, name) for name in columns}, **derived)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, also where the database knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; SQLite gets it without the zone."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Registry of all tables."""

    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy reads this attribute from the class
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        float: Float(53),
        int: Integer(),
        bool: Boolean(),
        str: Text(),
    }


class PipelineRow(Base):
    """A group of runs started together."""

    __tablename__ = "pipelines"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    preset: Mapped[str]
    robot_set: Mapped[str]
    seed: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 -- read by SQLAlchemy


class RunRow(Base):
    """One execution of a job; ``token`` is that of the attempt that may write, None if none may."""

    __tablename__ = "runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    state: Mapped[str]
    pipeline_id: Mapped[int | None] = mapped_column(ForeignKey("pipelines.id"), index=True)
    group_name: Mapped[str | None]
    host: Mapped[str]
    device: Mapped[str]
    attempt: Mapped[int] = mapped_column(default=0)
    token: Mapped[str | None]
    pid: Mapped[int | None]
    pid_started_at: Mapped[float | None]
    pid_ticks: Mapped[int | None] = mapped_column(BigInteger)
    boot_id: Mapped[str | None]
    queued_boot_id: Mapped[str | None]
    seed: Mapped[int] = mapped_column(BigInteger)
    config: Mapped[dict[str, Any]]
    extra: Mapped[dict[str, Any]]
    folder: Mapped[str]
    versions: Mapped[dict[str, Any]]
    reason: Mapped[str | None]
    blocked_by: Mapped[int | None]
    exit_code: Mapped[int | None]
    done: Mapped[float | None]
    total: Mapped[float | None]
    unit: Mapped[str | None]
    rate: Mapped[float | None]
    result: Mapped[float | None]
    result_text: Mapped[str | None]
    result_kind: Mapped[str | None]
    report_gap_s: Mapped[float | None]
    worked_s: Mapped[float] = mapped_column(default=0.0)
    checkpoint_step: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    reported_at: Mapped[datetime | None]
    stop_requested_at: Mapped[datetime | None]
    kill_requested_at: Mapped[datetime | None]
    # The same moments by the machine's uptime, which no clock moves; None of another machine.
    started_uptime_s: Mapped[float | None]
    reported_uptime_s: Mapped[float | None]
    stop_requested_uptime_s: Mapped[float | None]
    archived: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str | None]
    # A number is never given twice, whatever was deleted: folders and lineage carry it.
    __table_args__ = (Index("ix_runs_state_host", "state", "host"), {"sqlite_autoincrement": True})


class RunInputRow(Base):
    """Lineage: a run reads what another run made."""

    __tablename__ = "run_inputs"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    input_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    input_attempt: Mapped[int | None]


class RunRobotSetRow(Base):
    """The robot sets a run works on, by name: some are made by an earlier run."""

    __tablename__ = "run_robot_sets"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class AttemptRow(Base):
    """One process that worked on a run, and how it left."""

    __tablename__ = "attempts"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int | None]
    pid_started_at: Mapped[float | None]
    boot_id: Mapped[str | None]
    from_step: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    reason: Mapped[str | None]
    exit_code: Mapped[int | None]


class EventRow(Base):
    """Something worth telling; outlives its run."""

    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int | None] = mapped_column(index=True)
    at: Mapped[datetime]
    level: Mapped[str]
    kind: Mapped[str]
    text: Mapped[str]


class CheckpointRow(Base):
    """A resumable snapshot; it exists when this row does."""

    __tablename__ = "checkpoints"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    step: Mapped[int] = mapped_column(BigInteger)
    path: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    value: Mapped[float | None]
    worked_s: Mapped[float]
    created_at: Mapped[datetime]
    __table_args__ = (Index("ix_checkpoints_run_step", "run_id", "step"),)


class ArtifactRow(Base):
    """A result file or folder; it exists when this row does."""

    __tablename__ = "artifacts"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    kind: Mapped[str]
    name: Mapped[str]
    path: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("run_id", "kind", "name"),)


class SeriesRow(Base):
    """A named curve; ``robot_digest`` is empty for a curve of the whole run.

    ``num_points`` counts those of ``points`` alone; ``last_step`` is that of extreme ones as well,
    of which ``last_value`` is None.
    """

    __tablename__ = "series"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    name: Mapped[str]
    robot_digest: Mapped[str] = mapped_column(default="")
    num_points: Mapped[int] = mapped_column(default=0)
    last_step: Mapped[int | None] = mapped_column(BigInteger)
    last_value: Mapped[float | None]
    __table_args__ = (UniqueConstraint("run_id", "name", "robot_digest"),)


class PointRow(Base):
    """One number of a series at a step."""

    __tablename__ = "points"
    series_id: Mapped[int] = mapped_column(
        ForeignKey("series.id", ondelete="CASCADE"), primary_key=True
    )
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    iteration: Mapped[int]
    wall_s: Mapped[float]
    value: Mapped[float]
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 -- read by SQLAlchemy


class ExtremePointRow(Base):
    """A point that is not finite, or so large that sums would not be; ``value`` is its text.

    Kept apart, as SQLite has no NaN and one infinite number would hide all others of its block.
    """

    __tablename__ = "extreme_points"
    series_id: Mapped[int] = mapped_column(
        ForeignKey("series.id", ondelete="CASCADE"), primary_key=True
    )
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    iteration: Mapped[int]
    wall_s: Mapped[float]
    value: Mapped[str]
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 -- read by SQLAlchemy


class RollupRow(Base):
    """``ROLLUP_SIZE`` consecutive points of a series in one row; the last row may hold fewer."""

    __tablename__ = "rollups"
    series_id: Mapped[int] = mapped_column(
        ForeignKey("series.id", ondelete="CASCADE"), primary_key=True
    )
    block: Mapped[int] = mapped_column(primary_key=True)
    num_points: Mapped[int]
    last_step: Mapped[int] = mapped_column(BigInteger)
    last_iteration: Mapped[int]
    last_wall_s: Mapped[float]
    value_sum: Mapped[float]
    low: Mapped[float]
    high: Mapped[float]
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 -- read by SQLAlchemy


class RobotRow(Base):
    """A robot of the library; published sets hold some bodies under several names."""

    __tablename__ = "robots"
    __table_args__ = (UniqueConstraint("digest", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(Text, index=True)
    family: Mapped[str]
    num_limbs: Mapped[int]
    num_joints: Mapped[int]
    mass_kg: Mapped[float]
    head_height_m: Mapped[float]
    parent_digest: Mapped[str | None]
    operations: Mapped[list[str]] = mapped_column(JSON)
    seed: Mapped[int | None] = mapped_column(BigInteger)
    path: Mapped[str]
    created_at: Mapped[datetime]


class RobotSetRow(Base):
    """A named, ordered list of robots; one that was removed stays for the runs that read it."""

    __tablename__ = "robot_sets"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    run_id: Mapped[int | None]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class RobotSetMemberRow(Base):
    """A robot's place and role in a set."""

    __tablename__ = "robot_set_members"
    set_id: Mapped[int] = mapped_column(
        ForeignKey("robot_sets.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    robot_id: Mapped[int] = mapped_column(ForeignKey("robots.id"), index=True)
    role: Mapped[str | None]


class EvaluatedPolicyRow(Base):
    """Whose policy a label in ``episodes`` means; no run for a random one."""

    __tablename__ = "evaluated_policies"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    policy: Mapped[str] = mapped_column(Text, primary_key=True)
    policy_run_id: Mapped[int | None]


class EpisodeRow(Base):
    """One evaluated episode."""

    __tablename__ = "episodes"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    policy: Mapped[str] = mapped_column(Text, primary_key=True)
    robot_digest: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    task: Mapped[str] = mapped_column(Text, primary_key=True)
    seed: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    episode: Mapped[int] = mapped_column(primary_key=True)
    episode_return: Mapped[float]
    length: Mapped[int]
    terminated: Mapped[bool]
    distance_m: Mapped[float]
    mean_speed_m_s: Mapped[float]
    energy_j: Mapped[float]


class TagRow(Base):
    """A word a person put on a run."""

    __tablename__ = "tags"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(Text, primary_key=True)


class SettingRow(Base):
    """What a workspace remembers: filters, theme, slots."""

    __tablename__ = "settings"
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)


class SupervisorRow(Base):
    """The process that starts and watches the workers of one machine; ``beats`` counts its signs.

    ``installation`` names the machine over restarts, where anything does.
    """

    __tablename__ = "supervisors"
    boot_id: Mapped[str] = mapped_column(Text, primary_key=True)
    host: Mapped[str]
    installation: Mapped[str | None]
    pid: Mapped[int]
    pid_started_at: Mapped[float]
    slots: Mapped[int]
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    beats: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
