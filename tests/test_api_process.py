"""The API process is small: no networks, no torch."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "diffusers", "transformers", "models.loading", "dbos", "alembic")


@pytest.mark.parametrize("module", ["app.main", "app.commands.serve", "app.commands.keys"])
def test_the_api_loads_no_networks(module):
    code = f"import {module}, sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_running_application_loads_no_torch(tmp_path):
    code = (
        "import sys; from app.main import create_app; from app.settings import Settings;"
        f"app = create_app(Settings(data={str(tmp_path)!r})); app.openapi();"
        "print([name for name in ('torch', 'diffusers', 'transformers', 'models.loading') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
