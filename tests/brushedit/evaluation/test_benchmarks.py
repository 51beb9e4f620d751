import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from brushedit.errors import InvalidBenchmark
from brushedit.evaluation.benchmarks import (
    read_brushbench,
    read_editbench,
    read_image,
    read_pie_bench,
)

RNG = np.random.default_rng(1)


def picture(path: Path, side: int = 512) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (side, side, 3)).astype(np.uint8)
    assert cv2.imwrite(str(path), pixels[..., ::-1])
    return pixels


def brushbench(folder: Path, **changes: Any) -> Path:
    entry = {
        "image": "natural/human/1.png",
        "caption": "a man on a bench",
        "inpainting_mask": [1, 2, 513, 1],
        "outpainting_mask": [3, 510, 514, 512 * 512 - 513],
    }
    (folder / "mapping_file.json").write_text(json.dumps({"000000001": entry | changes}))
    return folder


def test_brushbench(tmp_path: Path) -> None:
    pixels = picture(tmp_path / "natural/human/1.png")
    (inside,) = read_brushbench(brushbench(tmp_path), "inside")
    assert (inside.key, inside.prompt, inside.group) == ("000000001", "a man on a bench", "natural")
    assert np.argwhere(inside.mask).tolist() == [[0, 0], [0, 1], [1, 0]]
    assert np.array_equal(read_image(inside), pixels)
    (outside,) = read_brushbench(tmp_path, "outside")
    assert np.array_equal(outside.mask, ~inside.mask)


@pytest.mark.parametrize(
    "changes",
    [
        {"image": "natural/human/2.png"},
        {"image": "../../etc/passwd"},
        {"image": 7},
        {"caption": " "},
        {"inpainting_mask": [1, 2, 3]},
        {"inpainting_mask": [0, 2]},
        {"inpainting_mask": "1 2"},
        {"inpainting_mask": [1, True]},
        {"inpainting_mask": [512 * 512, 2]},
    ],
)
def test_faulty_records_are_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    picture(tmp_path / "natural/human/1.png", 8)
    with pytest.raises(InvalidBenchmark):
        read_brushbench(brushbench(tmp_path, **changes), "inside")


def test_a_missing_or_broken_mapping_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidBenchmark, match="is not there"):
        read_brushbench(tmp_path, "inside")
    for text in ("{", "[]", "{}", '{"a": 1}'):
        (tmp_path / "mapping_file.json").write_text(text)
        with pytest.raises(InvalidBenchmark):
            read_brushbench(tmp_path, "inside")


def test_a_picture_of_another_size_than_its_mask_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "natural/human/1.png", 500)
    (item,) = read_brushbench(brushbench(tmp_path), "inside")
    with pytest.raises(InvalidBenchmark, match="500x500"):
        read_image(item)
    item.image.write_bytes(b"no picture")
    with pytest.raises(InvalidBenchmark, match="no picture"):
        read_image(item)


def test_pie_bench(tmp_path: Path) -> None:
    picture(tmp_path / "annotation_images/1_change_object/1.jpg")
    entry = {
        "image_path": "1_change_object/1.jpg",
        "original_prompt": "a [cat] sitting on a bench",
        "editing_prompt": "a [dog] sitting on a bench",
        "editing_instruction": "Turn the cat into a dog",
        "editing_type_id": "1",
        "blended_word": "cat dog",
        "mask": [5 * 512 + 3, 2],
    }
    (tmp_path / "mapping_file.json").write_text(json.dumps({"111": entry}))
    (item,) = read_pie_bench(tmp_path)
    assert item.prompt == "a dog sitting on a bench"
    assert item.source_prompt == "a cat sitting on a bench"
    assert (item.instruction, item.group) == ("Turn the cat into a dog", "change object")
    assert item.mask[5, 3:5].all()
    assert item.mask[0].all()
    assert item.mask.sum() == 4 * 511 + 2
    (tmp_path / "mapping_file.json").write_text(json.dumps({"111": entry | {"editing_type_id": "10"}}))
    with pytest.raises(InvalidBenchmark, match="editing_type_id"):
        read_pie_bench(tmp_path)


def test_editbench(tmp_path: Path) -> None:
    for group, name in (("natural", "cup_wood"), ("generated", "dog_red")):
        with (tmp_path / f"annotations_{group}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["aos", "prompt_full", "prompt_mask-rich"])
            writer.writeheader()
            writer.writerow({"aos": name, "prompt_full": f"a {name}, on a table", "prompt_mask-rich": "x"})
        picture(tmp_path / f"references_{group}/{name}.png", 32)
        mask = np.full((32, 32), 255, np.uint8)
        mask[4:8, 2:20] = 0
        (tmp_path / f"masks_{group}").mkdir()
        cv2.imwrite(str(tmp_path / f"masks_{group}/{name}.png"), mask)
    natural, generated = read_editbench(tmp_path)
    assert (natural.key, natural.group) == ("natural-cup_wood", "natural")
    assert generated.prompt == "a dog_red, on a table"
    assert natural.mask[4:8, 2:20].all()
    assert natural.mask.sum() == 4 * 18
    assert read_image(natural).shape == (32, 32, 3)
    (tmp_path / "masks_natural/cup_wood.png").unlink()
    with pytest.raises(InvalidBenchmark, match="cup_wood"):
        read_editbench(tmp_path)
