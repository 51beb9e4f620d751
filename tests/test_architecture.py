"""What import contracts cannot see: fresh interpreters, and who owns our package names."""

import importlib
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("app", "agents", "brushedit", "models")


@pytest.mark.parametrize("name", OURS)
def test_no_other_distribution_owns_our_names(name):
    owners = set(packages_distributions().get(name, ()))
    assert owners <= {"brushedit-service"}
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(ROOT)


@pytest.mark.parametrize(
    "module", ["app.cli", "app.pictures", "agents.editor", "brushedit.blending", "brushedit.framing"]
)
def test_light_modules_load_no_networks(module):
    heavy = "{'torch', 'diffusers', 'transformers', 'models.loading'}"
    code = (
        f"import sys, {module}; loaded = {heavy} & set(sys.modules); sys.exit(repr(loaded) if loaded else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_readmes_tree_is_true():
    readme = (ROOT / "README.md").read_text()
    tree = readme.split("```text")[1].split("```")[0]
    folder = ROOT
    named = []
    for line in tree.strip().splitlines():
        name = line.split()[0]
        folder = ROOT if not line.startswith(" ") else folder
        path = folder / name
        assert path.exists(), f"the README names {path.relative_to(ROOT)}, which is not there"
        named.append(path)
        if path.is_dir() and not line.startswith(" "):
            folder = path
    for package in OURS:
        shown = {path for path in named if path.parent == ROOT / package}
        there = {
            path
            for path in (ROOT / package).iterdir()
            if path.name not in ("__init__.py", "__pycache__", "__main__.py")
        }
        assert there <= shown, (
            f"the README's tree lacks {sorted(str(p.relative_to(ROOT)) for p in there - shown)}"
        )
