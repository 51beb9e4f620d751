"""One thread for torch, and the small pipeline that most tests paint with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from app.bootstrap import PainterChoice, load_conductor
from brushedit.diffusion.conductor import BrushNetConductor
from models import untrained
from tests.s3 import BUCKET, s3

# No test is timed: machines are noisy.
settings.register_profile("untimed", deadline=None, max_examples=60)
settings.load_profile("untimed")

SHARED = Path(__file__).parents[2] / "shared"
"""Recorded numbers and photos, where a checkout has them beside it."""


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    # Two OpenMP threads that spin on a busy machine take 25 times as long as one.
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `base_model` and `brushnetX`, small and untrained."""
    return untrained.ensure(tmp_path_factory.mktemp("weights") / "untrained")


@pytest.fixture(scope="session")
def conductor(weights: Path) -> BrushNetConductor:
    return load_conductor(PainterChoice(weights / "base_model", weights / "brushnetX", device="cpu"))


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """Give the address of a bucket on a local S3 server; clients keep to the first server they met, so it is one."""
    with s3() as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield f"s3://{BUCKET}"


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("no folder ../shared beside this checkout")
    return SHARED
