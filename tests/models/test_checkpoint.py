import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from brushedit.errors import InvalidWeights
from models.checkpoint import build_empty, load_network, read_checkpoint


class Twins(nn.Module):
    """Two names for one layer, and a constant buffer that no checkpoint holds."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 2)
        self.second = self.first
        self.register_buffer("steps", torch.arange(3.0), persistent=False)


@pytest.fixture
def trained() -> Twins:
    torch.manual_seed(0)
    return Twins()


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_network_comes_back_as_it_was(trained: Twins, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".pth":
        torch.save({"model": {f"module.{key}": value for key, value in trained.state_dict().items()}}, path)
    else:
        save_file({key: value.clone() for key, value in trained.state_dict().items()}, path)
    network = load_network(Twins, path)
    assert torch.equal(network.first.weight, trained.first.weight)
    assert network.second.weight is network.first.weight
    assert torch.equal(network.steps, torch.arange(3.0)), "buffers outside the checkpoint are real"
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_parameters_take_no_memory_before_loading() -> None:
    network = build_empty(Twins)
    assert network.first.weight.is_meta
    assert not network.steps.is_meta


def test_a_pickled_checkpoint_is_converted_once(trained: Twins, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(trained.state_dict(), path)
    first = read_checkpoint(path)
    assert (tmp_path / "weights.safetensors").is_file()
    path.write_bytes(b"gone bad")
    again = read_checkpoint(path)
    assert first.keys() == again.keys()
    assert all(torch.equal(first[key], again[key]) for key in first)
    load_network(Twins, path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["weights.pth", "weights.safetensors"]


def test_a_pickled_checkpoint_loads_where_nothing_can_be_written(
    trained: Twins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("Read-only file system")

    monkeypatch.setattr("models.checkpoint.save_file", refused)
    path = tmp_path / "weights.pth"
    torch.save(trained.state_dict(), path)
    load_network(Twins, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.pth"]


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> object:
            return os.mkdir, (str(tmp_path / "sprung"),)

    path = tmp_path / "weights.pth"
    torch.save({"first.weight": Trap()}, path)
    with pytest.raises(InvalidWeights, match="tensors alone"):
        read_checkpoint(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip"])
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidWeights, match=name):
        load_network(Twins, path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidWeights, match=r"nowhere\.pth"):
        load_network(Twins, tmp_path / "nowhere.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first.bias": None}, r"missing first\.bias"),
        ({"third.weight": torch.zeros(1)}, r"unexpected third\.weight"),
        ({"first.bias": torch.zeros(7)}, r"another shape first\.bias \(7,\) instead of \(2,\)"),
    ],
)
def test_keys_that_do_not_fit_are_named(
    trained: Twins, tmp_path: Path, change: dict[str, torch.Tensor | None], message: str
) -> None:
    state = {key: value.clone() for key, value in trained.state_dict().items()} | change
    path = tmp_path / "weights.safetensors"
    save_file({key: value for key, value in state.items() if value is not None}, path)
    with pytest.raises(InvalidWeights, match=message):
        load_network(Twins, path)
    if "third.weight" in change:
        assert load_network(Twins, path, superfluous={"third.weight"})
