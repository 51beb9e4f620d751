"""When the head was moved."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("sessions", sa.Column("moved_at", sa.Double(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("sessions", "moved_at")
