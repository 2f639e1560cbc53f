"""Processes by ticks, moments by uptime, supervisors by boot; results by kind; extreme points.

Every new column may be empty: processes of the version before go on writing meanwhile.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KINDS = {
    "teacher": "sampled_return",
    "collection": "sampled_return",
    "evaluation": "return",
    "student": "loss",
    "generation": "robots",
    "mutation": "mutants",
}
"""What the number is that a run of each kind reported before it said so itself."""


def upgrade() -> None:
    op.add_column("runs", sa.Column("pid_ticks", sa.BigInteger(), nullable=True))
    for name in ("started_uptime_s", "reported_uptime_s", "stop_requested_uptime_s"):
        op.add_column("runs", sa.Column(name, sa.Float(precision=53), nullable=True))
    _key_supervisors_by_boot()
    op.add_column("runs", sa.Column("result_kind", sa.Text(), nullable=True))
    removed_at = sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True)
    op.add_column("robot_sets", removed_at)
    _name_results()
    op.create_table(
        "extreme_points",
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("wall_s", sa.Float(precision=53), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("series_id", "step"),
        sqlite_with_rowid=False,
    )


def _key_supervisors_by_boot() -> None:
    """Two machines may have one name, and one machine two."""
    op.create_table(
        "supervisors_by_boot",
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("installation", sa.Text(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("pid_started_at", sa.Float(precision=53), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beats", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("boot_id"),
    )
    op.execute(
        "INSERT INTO supervisors_by_boot"
        " (boot_id, host, pid, pid_started_at, slots, started_at, heartbeat_at)"
        " SELECT boot_id, host, pid, pid_started_at, slots, started_at, heartbeat_at"
        " FROM supervisors WHERE true ON CONFLICT DO NOTHING"
    )
    op.drop_table("supervisors")
    op.rename_table("supervisors_by_boot", "supervisors")


def _name_results() -> None:
    names = ("id", "kind", "state", "result", "result_kind")
    runs = sa.table("runs", *map(sa.column, names), sa.column("config", sa.JSON()))
    policies = sa.table("evaluated_policies", sa.column("run_id"), sa.column("policy"))
    artifacts = sa.table("artifacts", sa.column("run_id"), sa.column("kind"))
    for kind, result_kind in _KINDS.items():
        old = (runs.c.kind == kind) & runs.c.result.is_not(None)
        op.execute(sa.update(runs).where(old).values(result_kind=result_kind))
    for kind, setting, value, result_kind in (
        ("collection", "stochastic", False, "return"),
        ("evaluation", "deterministic", False, "sampled_return"),
    ):
        chosen = (runs.c.kind == kind) & (runs.c.config[setting].as_boolean() == value)
        known = chosen & runs.c.result_kind.is_not(None)
        op.execute(sa.update(runs).where(known).values(result_kind=result_kind))
    # An evaluation of one teacher and one student said how much of its return the student keeps.
    both = [
        sa.exists().where(policies.c.run_id == runs.c.id, policies.c.policy == policy)
        for policy in ("teacher", "student")
    ]
    finished = runs.c.state == "finished"
    ratio = (runs.c.kind == "evaluation") & runs.c.result.is_not(None) & finished
    op.execute(sa.update(runs).where(ratio, *both).values(result_kind="ratio"))
    # A deployment counted its policies in words alone.
    deployed = (artifacts.c.run_id == runs.c.id) & (artifacts.c.kind == "deployed_policy")
    count = sa.select(sa.func.count()).select_from(artifacts).where(deployed).scalar_subquery()
    counted = (runs.c.kind == "deployment") & finished & sa.exists().where(deployed)
    op.execute(sa.update(runs).where(counted).values(result=count, result_kind="policies"))
