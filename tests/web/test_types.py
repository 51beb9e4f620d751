"""The page's scripts are plain ES modules; the types in their comments are checked where TypeScript is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[2] / "app" / "web" / "jsconfig.json"


def test_the_scripts_keep_to_their_types():
    checker = shutil.which("tsc")
    if checker is None:
        pytest.skip("no tsc on PATH (npm install --global typescript)")
    done = subprocess.run([checker, "--project", CONFIG], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
