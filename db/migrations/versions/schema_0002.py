"""Processes by the kernel's ticks, moments by uptime, supervisors by the boot of their machine.

Every new column may be empty: processes of the version before go on writing meanwhile.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("pid_ticks", sa.BigInteger(), nullable=True))
    for name in ("started_uptime_s", "reported_uptime_s", "stop_requested_uptime_s"):
        op.add_column("runs", sa.Column(name, sa.Float(precision=53), nullable=True))
    _key_supervisors_by_boot()


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
