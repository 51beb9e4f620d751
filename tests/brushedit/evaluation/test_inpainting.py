import dataclasses
import math
from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np
import pytest

from brushedit import blending
from brushedit.errors import EmptyMask, InvalidBenchmark, InvalidOption
from brushedit.evaluation import published
from brushedit.evaluation.benchmarks import Item
from brushedit.evaluation.inpainting import FINISHES, PROTOCOL, run
from brushedit.events import Blended, Denoised
from brushedit.options import PaintOptions
from brushedit.types import Image, Mask, Painting

SIDE = 64


class Whitewash:
    """Paints a light grey over everything, and refuses captions with "refused" in them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, PaintOptions]] = []

    def paint(
        self, image: Image, mask: Mask, caption: str, options: PaintOptions
    ) -> Generator[Denoised | Blended, None, Painting]:
        self.asked.append((caption, options))
        yield Denoised(1, 1)
        if "refused" in caption:
            raise EmptyMask("nothing to do")
        painted = np.full_like(image, 200)
        region = blending.region(mask, 10)
        if options.blend:
            painted = blending.blend(image, painted, blending.weights(mask, 10, 10))
        report = blending.report(image, painted, region)
        yield Blended(0, report)
        return Painting((painted,), (options.seed,), region, (report,))


class Share:
    """A metric that needs no network."""

    def score(self, image: Image, result: Image, kept: Mask, prompt: str) -> float:
        return float(kept.mean()) + len(prompt)


@pytest.fixture
def items(tmp_path: Path) -> tuple[Item, ...]:
    rng = np.random.default_rng(3)
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[20:40, 25:45] = True
    found: list[Item] = []
    for key in ("a/1", "b", "c"):
        path = tmp_path / f"{key.replace('/', '')}.png"
        smooth = cv2.GaussianBlur(rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8), (9, 9), 0)
        cv2.imwrite(str(path), smooth)
        found.append(Item(key, path, mask, "refused" if key == "b" else f"a {key}", group="natural"))
    return tuple(found)


def test_a_run_keeps_to_the_protocol_and_notes_failures(items: tuple[Item, ...], tmp_path: Path) -> None:
    conductor = Whitewash()
    done = list(run(items, conductor, tmp_path / "out", networks={"share": Share()}))
    assert [one.item.key for one in done] == ["a/1", "b", "c"]
    assert [one.error for one in done] == ["", "mask_empty: nothing to do", ""]
    assert done[1].scores == {}
    assert conductor.asked[0] == ("a a/1", PROTOCOL)
    assert (PROTOCOL.steps, PROTOCOL.guidance, PROTOCOL.seed, PROTOCOL.scheduler) == (50, 7.5, 1234, "unipc")
    scores = done[0].scores
    assert scores["share"] == pytest.approx(1 - 400 / SIDE**2 + 5)
    gap = scores[published.PLAIN_PSNR] - scores[published.PSNR]
    assert gap == pytest.approx(10 * math.log10(3))
    assert scores[published.MSE] == pytest.approx(3 * scores[published.PLAIN_MSE])


def test_a_second_run_paints_only_what_is_missing(items: tuple[Item, ...], tmp_path: Path) -> None:
    first = list(run(items, Whitewash(), tmp_path / "out"))
    (tmp_path / "out" / "c.png").unlink()
    again = Whitewash()
    second = list(run(items, again, tmp_path / "out"))
    assert [caption for caption, _ in again.asked] == ["refused", "a c"]
    assert [one.resumed for one in second] == [True, False, False]
    assert [one.scores for one in second] == [one.scores for one in first]


def test_a_folder_of_other_settings_is_refused(items: tuple[Item, ...], tmp_path: Path) -> None:
    list(run(items, Whitewash(), tmp_path / "out"))
    for finish, options in (("raw", PROTOCOL), ("contract", dataclasses.replace(PROTOCOL, steps=20))):
        with pytest.raises(InvalidOption, match="other settings"):
            list(run(items, Whitewash(), tmp_path / "out", finish=finish, options=options))
    with pytest.raises(InvalidOption, match="finish"):
        list(run(items, Whitewash(), tmp_path / "out", finish="best"))


def test_a_broken_picture_of_an_earlier_run_is_no_result(items: tuple[Item, ...], tmp_path: Path) -> None:
    list(run(items, Whitewash(), tmp_path / "out"))
    (tmp_path / "out" / "c.png").write_bytes(b"")
    assert list(run(items, Whitewash(), tmp_path / "out"))[2].error.startswith("invalid_benchmark")


def test_two_items_of_one_name_are_refused(items: tuple[Item, ...], tmp_path: Path) -> None:
    twins = (items[0], dataclasses.replace(items[0], key="a_1"))
    with pytest.raises(InvalidBenchmark, match="a_1"):
        list(run(twins, Whitewash(), tmp_path / "out"))


def test_finishes_differ_as_they_say(items: tuple[Item, ...], tmp_path: Path) -> None:
    kept = {
        name: next(run(items[:1], Whitewash(), tmp_path / name, finish=name)).scores[published.PLAIN_PSNR]
        for name in FINISHES
    }
    assert min(kept["contract"], kept["published-blended"]) > kept["raw"] + 5
    assert abs(kept["published"] - kept["raw"]) < 1
    assert (tmp_path / "published" / "a_1.jpg").exists()


def test_the_published_blend_is_the_blurred_mask() -> None:
    hole = np.zeros((41, 41), np.bool_)
    hole[20, 20] = True
    black, white = np.zeros((41, 41, 3), np.uint8), np.full((41, 41, 3), 255, np.uint8)
    mixed = FINISHES["published-blended"].paste(black, white, hole)
    assert mixed[20, 20, 0] == cv2.GaussianBlur(hole.astype(np.uint8) * 255, (21, 21), 0)[20, 20]
    assert mixed[20, 31:].max() == 0
