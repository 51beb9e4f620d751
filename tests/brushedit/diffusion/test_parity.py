"""The published implementation's numbers; the small folder ships with the tests, the rest lies beside a checkout."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from app.pictures import read, read_mask
from brushedit.diffusion.parity import compare
from brushedit.errors import InvalidWeights

SD2 = Path(__file__).parents[2] / "data" / "parity" / "sd2"


def results(folder):
    return list(
        compare(folder, lambda p: read(p).pixels, lambda p, h, w: read_mask(p, (h, w), polarity="white"))
    )


@pytest.fixture
def copy(tmp_path):
    for path in SD2.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_the_small_folder_agrees():
    found = {result.group: result for result in results(SD2)}
    assert {"down", "mid", "up", "unet_with_brushnet", "unet_plain", "from_unet"} <= found.keys()
    assert len(found) == 6 + 2 * 4
    assert [result for result in found.values() if not result.ok] == []
    assert found["from_unet"].max_abs == 0


@pytest.mark.parametrize("name", [".", "sd4", "sdxl"])
def test_the_other_recorded_numbers_agree(shared, name):
    found = results(shared / "parity" / name)
    assert found
    assert [result for result in found if not result.ok] == []


@pytest.mark.parametrize("group", ["mid", "down.1", "up.0", "unet_plain", "unet_with_brushnet"])
def test_a_wrong_number_is_noticed(copy, group):
    tensors = load_file(copy / "forward.safetensors")
    tensors[group] = tensors[group] * 1.0001
    save_file(tensors, copy / "forward.safetensors")
    assert [r.group for r in results(copy) if not r.ok] == [group.split(".")[0]]


def test_a_wrong_initialisation_is_noticed(copy):
    path = copy / "brushnet_from_unet.safetensors"
    tensors = load_file(path)
    tensors["conv_in_condition.weight"][0, 0, 0, 0] += 1e-6
    save_file(tensors, path)
    assert [r.group for r in results(copy) if not r.ok] == ["from_unet"]


def test_the_stems_bias_counts_unless_the_folder_shows_it_was_shared(copy):
    path = copy / "brushnet.safetensors"
    tensors = load_file(path)
    tensors["conv_in_condition.bias"] += 1
    save_file(tensors, path)
    assert "from_unet" in [r.group for r in results(copy) if not r.ok]


def test_a_wrong_pipeline_run_is_noticed(copy):
    path = copy / "pipeline.safetensors"
    tensors = load_file(path)
    tensors["unipc_cfg.latents"] = tensors["unipc_cfg.latents"] * 1.01
    save_file(tensors, path)
    assert [r.group for r in results(copy) if not r.ok] == ["unipc_cfg.latents"]


def test_an_option_that_is_not_known_is_not_ignored(copy):
    path = copy / "pipeline_cases.json"
    cases = json.loads(path.read_text())
    cases["ddim_cfg"]["call"]["eta"] = 0.5
    path.write_text(json.dumps(cases))
    with pytest.raises(InvalidWeights, match="eta"):
        results(copy)


def test_a_checkpoint_with_other_keys_is_named(copy):
    path = copy / "brushnet.safetensors"
    tensors = load_file(path)
    tensors.pop("brushnet_mid_block.bias")
    save_file(tensors, path)
    with pytest.raises(InvalidWeights, match=r"brushnet_mid_block\.bias"):
        results(copy)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(InvalidWeights):
        results(tmp_path)
