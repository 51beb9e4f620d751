"""The Python kernel of non-maximum suppression, and imports in an order that once failed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from brushedit import torchvision_ops

ROOT = Path(__file__).parents[2]


def reference(boxes, scores, threshold):
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        for j in kept:
            w = max(0.0, min(boxes[i][2], boxes[j][2]) - max(boxes[i][0], boxes[j][0]))
            h = max(0.0, min(boxes[i][3], boxes[j][3]) - max(boxes[i][1], boxes[j][1]))
            area = [(b[2] - b[0]) * (b[3] - b[1]) for b in (boxes[i], boxes[j])]
            if w * h > threshold * (sum(area) - w * h):
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_suppression_keeps_what_the_definition_keeps(count):
    rng = np.random.default_rng(count)
    corners = rng.integers(0, 40, (count, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 30, (count, 2))], axis=1).astype(np.float64)
    scores = rng.permutation(count).astype(np.float64)
    kept = torchvision_ops._nms(torch.from_numpy(boxes).reshape(-1, 4), torch.from_numpy(scores), 0.4)
    assert kept.tolist() == reference(boxes.tolist(), scores.tolist(), 0.4)


@pytest.mark.parametrize(
    "code",
    [
        "import models, torchvision; from torchvision.ops import batched_nms",
        # transformers looks torchvision up several times before it imports it.
        "import models; from transformers import SamModel, CLIPTextModel; import torchvision",
        "import models, importlib.util; importlib.util.find_spec('torchvision'); import torchvision.transforms",
        "import models, sys; sys.exit('torch' in sys.modules)",
    ],
)
def test_torchvision_imports_in_a_fresh_interpreter(code):
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]


def test_suppression_by_torchvision_itself():
    from torchvision.ops import nms

    boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30.0]])
    assert nms(boxes, torch.tensor([0.5, 0.9, 0.3]), 0.5).tolist() == [1, 2]
