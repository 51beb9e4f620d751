"""The untrained network: the same weights from the same seed, whole or not at all."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from safetensors.torch import load_file

from models import untrained

UNET = "base_model/unet/diffusion_pytorch_model.safetensors"


def test_a_seed_gives_the_same_weights(tmp_path):
    tensors = [
        load_file(untrained.ensure(tmp_path / str(i), seed) / UNET) for i, seed in enumerate((5, 5, 6))
    ]
    assert all(tensors[0][key].equal(tensors[1][key]) for key in tensors[0])
    assert not all(tensors[0][key].equal(tensors[2][key]) for key in tensors[0])


def test_several_may_ask_at_once(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        folders = list(pool.map(untrained.ensure, [tmp_path / "weights"] * 3))
    assert set(folders) == {tmp_path / "weights"}
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    def fail(folder, _seed):
        (folder / "half").write_text("")
        raise RuntimeError("disk")

    monkeypatch.setattr(untrained, "save", fail)
    with pytest.raises(RuntimeError):
        untrained.ensure(tmp_path / "weights")
    assert list(tmp_path.iterdir()) == []
