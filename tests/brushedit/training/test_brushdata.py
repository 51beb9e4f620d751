"""BrushData: tars made here, read where they lie; run lengths column by column; broken samples named, not swallowed."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from hypothesis import given
from hypothesis import strategies as st

from brushedit.errors import InvalidImage, InvalidMask, InvalidOption
from brushedit.evaluation.run_length import encode_brushdata
from brushedit.training.brushdata import BrushData, BrushDataDraw, Sample, prepare
from brushedit.training.masks import HoleMix
from brushedit.types import Mask


def subject(height: int, width: int) -> Mask:
    mask = np.zeros((height, width), np.bool_)
    mask[height // 4 : height // 2, width // 3 : width // 3 + 5] = True
    return mask


def fields(height: int, width: int, color: int) -> dict[str, bytes]:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (width, height), (color, 0, 0)).save(buffer, "JPEG")
    segmentation = {"mask": [encode_brushdata(subject(height, width))]}
    return {
        "image": buffer.getvalue(),
        "caption": f"a picture of {color}".encode(),
        "height": str(height).encode(),
        "width": str(width).encode(),
        "segmentation": json.dumps(segmentation).encode(),
    }


def write_tar(path: Path, samples: dict[str, dict[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for key, sample in samples.items():
            for field, data in sample.items():
                member = tarfile.TarInfo(f"{key}.{field}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path


def test_reads_samples_at_random_from_several_tars(tmp_path: Path) -> None:
    first = write_tar(tmp_path / "a.tar", {"0.1": fields(40, 60, 10), "0.2": fields(48, 40, 200)})
    second = write_tar(tmp_path / "b.tar", {"7": fields(30, 30, 90)})
    data = BrushData([first, second])
    assert len(data) == 3
    last, middle = data[2], data[1]
    assert last.caption == "a picture of 90"
    assert middle.image.shape == (48, 40, 3)
    assert abs(int(middle.image[0, 0, 0]) - 200) < 6
    assert (middle.segmentations[0] == subject(48, 40)).all()


def test_incomplete_samples_are_counted_and_broken_ones_raise(tmp_path: Path) -> None:
    lacking = {k: v for k, v in fields(20, 20, 5).items() if k != "segmentation"}
    broken = fields(20, 20, 5) | {"image": b"no picture"}
    wild = fields(20, 20, 5) | {"segmentation": b'{"mask": [[1, 100000]]}'}
    data = BrushData([write_tar(tmp_path / "a.tar", {"a": lacking, "b": broken, "c": wild})])
    assert (len(data), data.incomplete) == (2, 1)
    with pytest.raises(InvalidImage):
        data[0]
    with pytest.raises(InvalidMask):
        data[1]


def test_a_truncated_tar_and_no_samples_are_errors(tmp_path: Path) -> None:
    torn = tmp_path / "torn.tar"
    torn.write_bytes(write_tar(tmp_path / "a.tar", {"a": fields(64, 64, 5)}).read_bytes()[:700])
    for tars in ([torn], [tmp_path / "absent.tar"], []):
        with pytest.raises(InvalidOption):
            BrushData(tars)


@given(st.integers(0, 1000), st.sampled_from([(40, 90), (90, 40), (64, 64), (20, 31)]))
def test_prepared_pictures_keep_their_proportions(seed: int, size: tuple[int, int]) -> None:
    height, width = size
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 255 // width, y * 255 // height, np.zeros_like(x)], axis=-1).astype(np.uint8)
    sample = Sample(image, "ramp", (subject(height, width),))
    picture, hole, _ = prepare(np.random.default_rng(seed), sample, 32, HoleMix())
    assert picture.shape == (32, 32, 3)
    assert hole.shape == (32, 32)
    # Along each axis the ramp covers the share of the side that a square window of the shorter side has.
    for channel, length in ((0, width), (1, height)):
        covered = int(np.ptp(picture[..., channel].astype(int)))
        assert covered == pytest.approx(255 * min(size) / length, abs=24)


def test_draws_batches_from_the_seed_alone_and_reports_the_broken(tmp_path: Path) -> None:
    samples = {str(i): fields(40, 40, 20 * i) for i in range(4)}
    samples["bad"] = fields(40, 40, 1) | {"image": b"?"}
    data = BrushData([write_tar(tmp_path / "a.tar", samples)])
    torch.manual_seed(0)
    vae = AutoencoderKL(block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
                        up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=4)  # fmt: skip
    broken: list[str] = []
    draw = BrushDataDraw(
        data, vae, lambda captions: torch.zeros(len(captions), 4, 8),
        batch=8, resolution=32, mix=HoleMix(), broken=broken.append,
    )  # fmt: skip
    one, other = (draw(np.random.default_rng(3), torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one.latents, other.latents)
    assert torch.equal(one.conditioning, other.conditioning)
    assert one.latents.shape == (8, 4, 16, 16)
    assert one.conditioning.shape == (8, 5, 16, 16)
    assert set(one.conditioning[:, 4].unique().tolist()) <= {0.0, 1.0}
    assert broken
    assert all("sample 4" in message for message in broken)
