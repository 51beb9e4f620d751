import json
import math

import pytest

from brushedit.evaluation import published, report


def test_means_leave_out_what_was_not_measured() -> None:
    scores = [{"PSNR": 20.0, "CLIP": None}, {"PSNR": 30.0}, {"PSNR": math.inf}, {}]
    assert report.means(scores) == {"PSNR": 25.0, "CLIP": None}
    assert report.measured(scores) == {"PSNR": 2, "CLIP": 0}


def test_a_comparison_scales_ours_and_leaves_the_papers_alone() -> None:
    rows = published.published("brushbench inside")
    table = report.comparison({"ours": {published.MSE: 0.0008, published.PSNR: 31.0}}, rows, published.SCALE)
    lines = table.splitlines()
    assert "MSE ×1000" in lines[0]
    assert len({len(line) for line in lines}) == 1
    ours = [cell.strip() for cell in lines[2].strip("|").split("|")]
    theirs = next(line for line in lines if "BrushNet-Seg*" in line)
    assert ours[:1] + ours[4:7] == ["ours", "31.00", "–", "0.80"]
    assert "0.80" in theirs
    assert "2412.10316" in theirs


@pytest.mark.parametrize(
    ("benchmark", "method", "metric", "value"),
    [
        ("brushbench inside", "BrushEdit*", published.PSNR, 31.98),
        ("brushbench outside", "BrushEdit*", published.SSIM, 98.97),
        ("editbench", "BrushNet-Ran*", published.LPIPS, 10.12),
        ("pie-bench", "BrushEdit", published.MSE, 8.43),
        ("brushbench inside", "BrushNet", published.IMAGE_REWARD, 12.36),
    ],
)
def test_published_figures_stand_under_their_metric(
    benchmark: str, method: str, metric: str, value: float
) -> None:
    (row,) = [row for row in published.published(benchmark) if row.method == method]
    assert row.figures[metric] == value
    assert row.source


def test_json_has_no_infinity() -> None:
    told = report.finite({"a": [math.inf, 1.0, (math.nan,)], "b": "x"})
    assert json.dumps(told, allow_nan=False) == '{"a": [null, 1.0, [null]], "b": "x"}'
