"""GroundingDINO and SAM, small and random, through the loading code of the published ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from brushedit.errors import InvalidWeights
from brushedit.types import Box, Candidate, Image, Point
from models.grounding_dino import GroundingDino, load_detector
from models.placement import Placement
from models.sam import SamConfig, SegmentAnything, load_segmenter
from tests.models import tiny

CPU = Placement(torch.device("cpu"))
RNG = np.random.default_rng(0)
IMAGE: Image = RNG.integers(0, 256, (50, 90, 3), dtype=np.uint8)
IMAGE.flags.writeable = False
OTHER: Image = RNG.integers(0, 256, (90, 50, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for suffix in (".pth", ".safetensors"):
        tiny.write_dino((folder / f"dino{suffix[1:]}").with_suffix(suffix), folder / "bert")
        tiny.write_sam((folder / f"sam{suffix[1:]}").with_suffix(suffix))
    return folder


@pytest.fixture
def detector(folder: Path) -> GroundingDino:
    return load_detector(folder / "dinopth.pth", folder / "bert", tiny.DINO, CPU)


@pytest.fixture
def segmenter(folder: Path) -> SegmentAnything:
    return load_segmenter(folder / "sampth.pth", tiny.SAM, CPU)


def test_both_file_kinds_detect_alike(folder: Path, detector: GroundingDino) -> None:
    other = load_detector(folder / "dinosafetensors.safetensors", folder / "bert", tiny.DINO, CPU)
    assert detector.detect(IMAGE, "blue cube") == other.detect(IMAGE, "blue cube")


def test_candidates_are_ranked_and_inside_the_picture(detector: GroundingDino) -> None:
    found = detector.detect(IMAGE, "blue cube")
    assert 1 < len(found) <= tiny.DINO.num_queries
    assert len({candidate.box for candidate in found}) > 1
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
    for candidate in found:
        assert 0 <= candidate.score <= 1
        assert candidate.box.intersection(Box(0, 0, 90, 50)) == candidate.box
        assert not candidate.box.empty


def test_a_picture_and_phrase_cost_one_pass(detector: GroundingDino) -> None:
    first = detector.detect(IMAGE, "blue cube")
    assert detector.detect(IMAGE.copy(), " Blue cube.") == first
    assert detector.passes == 1
    assert detector.detect(IMAGE, "red ball") != first
    assert detector.detect(OTHER, "blue cube") != first
    assert detector.passes == 3


def test_a_phrase_of_nothing_finds_nothing(detector: GroundingDino) -> None:
    assert detector.detect(IMAGE, " .? ") == ()
    assert detector.passes == 0


def test_of_a_phrase_too_long_to_read_the_beginning_counts(detector: GroundingDino) -> None:
    told = detector.detect(IMAGE, "a blue cube, " * 400)
    assert told
    assert told[0].phrase.startswith("a blue cube")
    assert detector.detect(IMAGE, "x" * 5000)


def test_a_phrase_scores_by_all_its_words(detector: GroundingDino, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.full((1, 2, 256), float("-inf"))
    # [CLS] blue cube . [SEP]: the first box answers to both words, the second to one of them, but louder.
    logits[0, 0, 1:3] = torch.tensor([1.0, 1.0])
    logits[0, 1, 1:3] = torch.tensor([-4.0, 4.0])
    outputs = {
        "pred_logits": logits,
        "pred_boxes": torch.tensor([[[0.5, 0.5, 0.2, 0.4], [0.2, 0.5, 0.2, 0.2]]]),
    }
    monkeypatch.setattr(detector._network, "forward", lambda *_, **__: outputs)
    best, second = detector.detect(IMAGE, "blue cube")
    assert best == Candidate(Box(36, 15, 54, 35), pytest.approx(0.731, abs=1e-3), "blue cube")
    assert second.score == pytest.approx(0.5)


def test_text_states_ignore_what_the_mask_bars(folder: Path) -> None:
    network = load_detector(folder / "dinopth.pth", folder / "bert", tiny.DINO, CPU)._network
    words = torch.tensor([[2, 7, 9, 5, 3]])
    changed = torch.tensor([[2, 8, 9, 5, 3]])
    barred = torch.eye(5, dtype=torch.bool)[None]
    barred[:, 2:4, 2:4] = True
    kinds, places = torch.zeros_like(words), torch.arange(5)[None]
    one, two = (network.bert(ids, kinds, places, barred)["last_hidden_state"] for ids in (words, changed))
    assert torch.equal(one[:, 2:4], two[:, 2:4])
    assert not torch.equal(one[:, 1], two[:, 1])


def test_both_file_kinds_segment_alike(folder: Path, segmenter: SegmentAnything) -> None:
    other = load_segmenter(folder / "samsafetensors.safetensors", tiny.SAM, CPU)
    for box, points in ((Box(10, 10, 60, 40), ()), (None, (Point(30, 20), Point(5, 5, positive=False)))):
        (mask, score), (other_mask, other_score) = (s.segment(IMAGE, box, points) for s in (segmenter, other))
        assert mask.shape == IMAGE.shape[:2]
        assert mask.dtype == np.bool_
        assert 0 <= score <= 1
        assert score == other_score
        assert np.array_equal(mask, other_mask)


def test_a_picture_is_embedded_once(segmenter: SegmentAnything) -> None:
    first, _ = segmenter.segment(IMAGE, Box(10, 10, 60, 40), ())
    segmenter.segment(OTHER, Box(10, 10, 40, 60), ())
    again, _ = segmenter.segment(IMAGE.copy(), Box(10, 10, 60, 40), (Point(30, 30),))
    assert segmenter.passes == 2
    back, _ = segmenter.segment(IMAGE, Box(10, 10, 60, 40), ())
    assert np.array_equal(first, back)
    assert segmenter.passes == 2
    del again


def test_the_best_of_three_masks_is_taken(
    segmenter: SegmentAnything, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = np.zeros((3, 50, 90), dtype=bool)
    masks[1, 3:5] = True

    def predict(*_: object, **options: object) -> tuple[object, object, None]:
        assert options["multimask_output"] is True
        return masks, np.array([0.2, 1.03, 0.9]), None

    monkeypatch.setattr("models.sam.SamPredictor.predict", predict)
    mask, score = segmenter.segment(IMAGE, Box(0, 0, 5, 5), ())
    assert np.array_equal(mask, masks[1])
    assert score == 1.0


def test_another_architecture_is_refused_by_its_keys(folder: Path) -> None:
    with pytest.raises(InvalidWeights, match=r"image_encoder\.blocks\.2"):
        load_segmenter(folder / "sampth.pth", SamConfig(**(vars(tiny.SAM) | {"depth": 3})), CPU)
    with pytest.raises(InvalidWeights, match="missing"):
        load_detector(folder / "sampth.pth", folder / "bert", tiny.DINO, CPU)
    with pytest.raises(InvalidWeights, match="tokenizer"):
        load_detector(folder / "dinopth.pth", folder / "nowhere", tiny.DINO, CPU)
