import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub.errors
import pytest
import torch

from brushedit.errors import InvalidOption, InvalidWeights
from models import weights
from models.catalog import PROFILES, Licence, Network, Profile, Role, Source, find_profile
from models.checkpoint import write_network
from models.grounding_dino import build as build_dino
from models.loading import Places, open_detector, open_instructor, open_segmenter
from models.placement import Placement, choose_device, choose_dtype, size_of
from models.sam import build as build_sam
from tests.models import tiny

OPEN = Licence("MIT", "https://example.org/mit")
LIMITED = Licence("Limited", "https://example.org/limited", "not on Sundays")
CONTENT = b"weights"
SOURCE = Source(
    repo="owner/name",
    prefix="sam",
    files=("a.pth", "sub/*.json"),
    size=7,
    licence=OPEN,
    folder="sam",
    sha256={"a.pth": hashlib.sha256(CONTENT).hexdigest()},
)
PROFILE = Profile("small", "one network", {Role.SEGMENTER: Network("vit_b", SOURCE, checkpoint="a.pth")})


def lay(folder: Path) -> None:
    (folder / "sub").mkdir(parents=True)
    (folder / "a.pth").write_bytes(CONTENT)
    (folder / "sub" / "config.json").write_text("{}")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stand in for the hub: calls are written down; the cache is empty until something is downloaded."""
    calls: list[dict[str, Any]] = []
    cache = tmp_path / "cache"

    def snapshot_download(repo: str, **options: Any) -> str:
        if options.get("local_files_only"):
            if not cache.exists():
                raise huggingface_hub.errors.LocalEntryNotFoundError("not cached")
            return str(cache)
        calls.append({"repo": repo} | options)
        lay(cache / "sam")
        return str(cache)

    monkeypatch.setattr(weights, "snapshot_download", snapshot_download)
    return calls


def test_the_published_layout_is_accepted_as_it_is(tmp_path: Path, hub: list[dict[str, Any]]) -> None:
    lay(tmp_path / "mine" / "sam")
    assert weights.find(SOURCE, [tmp_path / "mine"]) == tmp_path / "mine" / "sam"
    assert hub == []


def test_what_is_missing_is_named(tmp_path: Path, hub: list[dict[str, Any]]) -> None:
    lay(tmp_path / "sam")
    (tmp_path / "sam" / "sub" / "config.json").unlink()
    with pytest.raises(InvalidWeights, match=r"sub/\*\.json") as caught:
        weights.find(SOURCE, [tmp_path])
    assert "weights pull" in caught.value.message
    (finding,) = weights.check(PROFILE, [tmp_path])
    assert (finding.folder, finding.missing) == (None, ("sub/*.json",))


def test_a_conversion_stands_in_for_its_pickle(tmp_path: Path, hub: list[dict[str, Any]]) -> None:
    lay(tmp_path / "sam")
    (tmp_path / "sam" / "a.pth").rename(tmp_path / "sam" / "a.safetensors")
    assert weights.find(SOURCE, [tmp_path])


def test_another_file_of_the_same_name_is_damage(tmp_path: Path, hub: list[dict[str, Any]]) -> None:
    lay(tmp_path / "sam")
    (finding,) = weights.check(PROFILE, [tmp_path])
    assert finding.damaged == ()
    assert finding.unverified == ("sub/*.json",)
    (tmp_path / "sam" / "a.pth").write_bytes(b"other")
    (finding,) = weights.check(PROFILE, [tmp_path])
    assert finding.damaged == ("a.pth",)


def test_pulling_asks_for_the_named_files_alone_and_once(hub: list[dict[str, Any]]) -> None:
    weights.pull(PROFILE, accepted=False)
    weights.pull(PROFILE, accepted=False)
    assert hub == [
        {"repo": "owner/name", "revision": None, "allow_patterns": ["sam/a.pth", "sam/sub/*.json"]}
    ]
    assert weights.find(SOURCE).name == "sam"


def test_a_limiting_licence_is_shown_and_accepted_before_any_download(hub: list[dict[str, Any]]) -> None:
    source = replace(SOURCE, licence=LIMITED)
    profile = replace(PROFILE, networks={Role.SEGMENTER: Network("vit_b", source)})
    with pytest.raises(InvalidOption, match="not on Sundays") as caught:
        weights.pull(profile, accepted=False)
    assert caught.value.param == "accept_licence"
    assert hub == []
    weights.pull(profile, accepted=True)
    assert len(hub) == 1


def test_a_wrong_download_is_refused(hub: list[dict[str, Any]]) -> None:
    source = replace(SOURCE, sha256={"a.pth": "0" * 64})
    with pytest.raises(InvalidWeights, match=r"a\.pth"):
        weights.pull(replace(PROFILE, networks={Role.SEGMENTER: Network("vit_b", source)}), accepted=True)


def test_offline_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(repo: str, **options: Any) -> str:
        if options.get("local_files_only"):
            raise huggingface_hub.errors.LocalEntryNotFoundError("not cached")
        raise huggingface_hub.errors.OfflineModeIsEnabled("offline")

    monkeypatch.setattr(weights, "snapshot_download", offline)
    with pytest.raises(InvalidWeights, match="HF_HUB_OFFLINE"):
        weights.pull(PROFILE, accepted=True)


def test_every_profile_names_its_five_networks() -> None:
    for profile in PROFILES.values():
        assert set(profile.networks) == set(Role)
        for network in profile.networks.values():
            for source in weights.sources(network):
                assert source.revision is None or len(source.revision) == 40
                assert all(len(digest) == 64 for digest in source.sha256.values())
                assert set(source.sha256) <= set(source.files)
                assert not source.repo or source.files
                assert source.licence.address.startswith("https://")
    assert [licence.name for licence in weights.limiting_licences(find_profile("sd15"))] == ["BrushEdit"]
    assert weights.limiting_licences(find_profile("toybox")) == ()
    with pytest.raises(InvalidOption, match="toybox, sd15, sdxl"):
        find_profile("sd3")


def test_the_agents_networks_open_from_one_folder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = tiny.bert_tokenizer(tmp_path / "grounding_dino")
    write_network(tmp_path / "grounding_dino", build_dino(tiny.DINO, tokenizer), tiny.DINO)
    write_network(tmp_path / "sam", build_sam(tiny.SAM), tiny.SAM)
    tiny.write_qwen2_vl(tmp_path / "vlms" / "instructor")
    placement, profile = Placement(torch.device("cpu")), find_profile("toybox")
    assert open_detector(profile, Places([tmp_path]), placement)
    assert open_segmenter(profile, Places([tmp_path]), placement, torch.float32)
    given = Places(folders={Role.INSTRUCTOR: tmp_path / "vlms" / "instructor"})
    assert open_instructor(profile, given, placement, torch.float32)
    with pytest.raises(InvalidWeights, match="nowhere"):
        open_instructor(
            profile, Places(folders={Role.INSTRUCTOR: tmp_path / "nowhere"}), placement, torch.float32
        )
    (tmp_path / "sam" / "config.json").write_text('{"depth": "deep"}')
    with pytest.raises(InvalidWeights, match="SamConfig"):
        open_segmenter(profile, Places([tmp_path]), placement, torch.float32)


def test_networks_leave_the_device_longest_unused_first() -> None:
    small, middle, large = (torch.nn.Linear(side, side, bias=False) for side in (2, 3, 4))
    placement = Placement(torch.device("cpu"), capacity=size_of(middle) + size_of(large))
    for network in (small, middle, large):
        with placement.on_device(network):
            assert placement.resident[-1] is network
    assert placement.resident == (middle, large)
    with placement.on_device(middle):
        pass
    with placement.on_device(small):
        pass
    assert placement.resident == (middle, small)
    placement.pin(large)
    with placement.on_device(large):
        assert large not in placement.resident


def test_a_network_larger_than_the_device_goes_there_alone() -> None:
    small, large = torch.nn.Linear(2, 2), torch.nn.Linear(9, 9)
    placement = Placement(torch.device("cpu"), capacity=1)
    for network in (small, large):
        with placement.on_device(network):
            assert placement.resident == (network,)


def test_without_a_limit_everything_stays() -> None:
    placement = Placement(torch.device("cpu"))
    for network in (torch.nn.Linear(9, 9), torch.nn.Linear(9, 9)):
        with placement.on_device(network):
            pass
    assert len(placement.resident) == 2
    assert placement.read_peak() == 0


def test_devices_and_precisions_are_chosen_or_refused() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_dtype(torch.device("cpu")) is torch.float32
    assert choose_dtype(torch.device("cpu"), "bfloat16") is torch.bfloat16
    for device in ("abacus", "cuda:77"):
        with pytest.raises(InvalidOption, match=device):
            choose_device(device)
    with pytest.raises(InvalidOption, match="float8"):
        choose_dtype(torch.device("cpu"), "float8")
