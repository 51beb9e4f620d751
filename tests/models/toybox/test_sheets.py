import subprocess
import sys

import numpy as np

from brushedit.types import require_image
from models.toybox.sheets import edit_sheet, grid, titled, world_sheet


def test_sheets_are_pictures_that_repeat_with_their_seed() -> None:
    world = world_sheet(np.random.default_rng(1), side=48, rows=2)
    assert require_image(world)[1] >= 8 * 48
    assert np.array_equal(world, world_sheet(np.random.default_rng(1), side=48, rows=2))
    edits = edit_sheet(np.random.default_rng(1), count=3, side=48)
    assert require_image(edits)[1] >= 2 * 4 * 48


def test_pictures_lie_in_the_grid_unchanged() -> None:
    rng = np.random.default_rng(0)
    one, other, third = (rng.integers(0, 255, (20, 30, 3)).astype(np.uint8) for _ in range(3))
    sheet = grid([[one, other], [third]])
    assert np.array_equal(sheet[:20, :30], one)
    assert np.array_equal(sheet[:20, -30:], other)
    assert np.array_equal(sheet[-20:, :30], third)
    assert (sheet[-20:, -30:] == 255).all()
    assert np.array_equal(titled(one, "words" * 50)[:20], one)


def test_drawing_the_world_needs_no_torch() -> None:
    code = "import sys, models.toybox.sheets; sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
