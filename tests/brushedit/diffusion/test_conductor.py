"""The conductor: the pixel contract, determinism, and a base model that stays as it was."""

import hashlib
from collections.abc import Generator

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brushedit.diffusion.conductor import BrushNetConductor
from brushedit.diffusion.schedulers import SCHEDULERS, make_scheduler
from brushedit.errors import EmptyMask, InvalidImage, InvalidMask, InvalidOption, InvalidWeights
from brushedit.events import Blended, Denoised
from brushedit.options import SCHEDULER_NAMES, PaintOptions
from brushedit.types import Painting

FAST = {"steps": 2, "seed": 3}


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def square(height, width, y0, y1, x0, x1):
    mask = np.zeros((height, width), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def run(events: Generator) -> tuple[list, Painting]:
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            return seen, end.value


def paint(conductor: BrushNetConductor, image, mask, **options) -> Painting:
    return run(conductor.paint(image, mask, "a red ball", PaintOptions(**FAST | options)))[1]


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((1, 1), (0, 1, 0, 1)),
        ((1, 40), (0, 1, 3, 9)),
        ((37, 23), (0, 5, 18, 23)),
        ((64, 64), (0, 64, 0, 64)),
        ((90, 130), (20, 50, 30, 70)),
        ((200, 35), (100, 101, 17, 18)),
        ((600, 900), (590, 600, 0, 20)),
    ],
)
def test_size_is_kept_and_outside_nothing_changes(conductor, shape, box):
    image, mask = picture(*shape), square(*shape, *box)
    painting = paint(conductor, image, mask)
    result, report = painting.images[0], painting.reports[0]
    assert result.shape == image.shape
    assert result.dtype == np.uint8
    assert np.array_equal(result[~painting.region], image[~painting.region])
    assert (report.outside_max_delta, report.outside_changed) == (0, 0)
    assert painting.region[mask].all()
    assert (result[mask] != image[mask]).any()


@given(st.integers(1, 90), st.integers(1, 90), st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mask_on_any_size(conductor, height, width, data):
    mask = np.random.default_rng(data.draw(st.integers(0, 99))).random((height, width)) < data.draw(
        st.sampled_from([0.001, 0.05, 0.5, 1.0])
    )
    image = picture(height, width)
    if not mask.any():
        with pytest.raises(EmptyMask):
            paint(conductor, image, mask)
        return
    painting = paint(conductor, image, mask, steps=1)
    assert painting.images[0].shape == image.shape
    assert painting.reports[0].outside_changed == 0


def test_a_large_photo_costs_no_more_frames_than_it_has_islands(conductor):
    image = picture(3000, 4000)
    mask = square(3000, 4000, 1000, 1040, 2000, 2040)
    mask |= square(3000, 4000, 20, 60, 3900, 3960)
    events, painting = run(conductor.paint(image, mask, "a ball", PaintOptions(**FAST)))
    assert sum(isinstance(event, Denoised) for event in events) == 2 * FAST["steps"]
    assert painting.reports[0].outside_changed == 0


def test_same_seed_same_bytes_and_another_seed_other_bytes(conductor):
    image, mask = picture(80, 80), square(80, 80, 20, 60, 20, 60)
    one = paint(conductor, image, mask).images[0]
    torch.manual_seed(99)  # the global generator has no say
    assert np.array_equal(one, paint(conductor, image, mask).images[0])
    assert not np.array_equal(one, paint(conductor, image, mask, seed=4).images[0])


@pytest.mark.parametrize("scheduler", ["unipc", "euler a"])
@pytest.mark.parametrize("posterior", ["mode", "sample"])
def test_sample_k_of_n_equals_sample_k_alone(conductor, scheduler, posterior):
    image, mask = picture(80, 80), square(80, 80, 20, 60, 20, 60)
    options = {"scheduler": scheduler, "posterior": posterior}
    together = paint(conductor, image, mask, samples=3, seed=10, **options)
    assert together.seeds == (10, 11, 12)
    for seed, result in zip(together.seeds, together.images, strict=True):
        assert np.array_equal(result, paint(conductor, image, mask, seed=seed, **options).images[0])


def fingerprint(conductor):
    digest = hashlib.sha256()
    for network in (conductor.base.unet, conductor.base.vae, conductor.brushnet):
        for name, module in network.named_modules():
            digest.update(f"{name} {list(module._forward_hooks)} {list(module._forward_pre_hooks)}".encode())
        for key, value in network.state_dict().items():
            digest.update(key.encode() + value.numpy().tobytes())
    return digest.hexdigest()


def test_the_networks_are_as_before_after_painting(conductor):
    before = fingerprint(conductor)
    paint(conductor, picture(64, 64), square(64, 64, 10, 40, 10, 40), samples=2)
    assert fingerprint(conductor) == before


def test_the_networks_are_as_before_after_a_failure_half_way(conductor, monkeypatch):
    before = fingerprint(conductor)
    events = conductor.paint(picture(64, 64), square(64, 64, 10, 40, 10, 40), "a ball", PaintOptions(steps=4))
    next(events)
    handle = conductor.base.unet.mid_block.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        next(events)
    handle.remove()
    assert fingerprint(conductor) == before


def test_the_networks_are_as_before_when_the_caller_stops(conductor):
    before = fingerprint(conductor)
    events = conductor.paint(picture(64, 64), square(64, 64, 10, 40, 10, 40), "a ball", PaintOptions(steps=4))
    next(events)
    assert fingerprint(conductor) == before  # also between steps, while somebody decides whether to go on
    events.close()
    assert fingerprint(conductor) == before


def test_two_paintings_at_once_do_not_mix(conductor):
    image, mask = picture(64, 64), square(64, 64, 10, 40, 10, 40)
    alone = [paint(conductor, image, mask, seed=seed, steps=3).images[0] for seed in (1, 2)]
    running = [
        conductor.paint(image, mask, "a red ball", PaintOptions(steps=3, seed=seed)) for seed in (1, 2)
    ]
    results = [None, None]
    while any(result is None for result in results):
        for i, events in enumerate(running):
            if results[i] is None:
                try:
                    next(events)
                except StopIteration as end:
                    results[i] = end.value.images[0]
    assert all(np.array_equal(a, b) for a, b in zip(alone, results, strict=True))


def test_options_know_every_scheduler_by_its_name():
    assert tuple(SCHEDULERS) == SCHEDULER_NAMES


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_every_scheduler_paints(conductor, scheduler, strength):
    painting = paint(
        conductor,
        picture(64, 64),
        square(64, 64, 16, 48, 16, 48),
        scheduler=scheduler,
        strength=strength,
        steps=4,
    )
    inside = painting.images[0][16:48, 16:48]
    assert inside.std() > 1  # not one colour: neither NaN nor saturated


def test_events_count_steps_over_samples_and_frames(conductor):
    image, mask = picture(400, 400), square(400, 400, 5, 25, 5, 25) | square(400, 400, 370, 390, 370, 390)
    events, _ = run(conductor.paint(image, mask, "a ball", PaintOptions(steps=3, samples=2, preview_every=2)))
    steps = [event for event in events if isinstance(event, Denoised)]
    assert [event.step for event in steps] == list(range(1, 13))
    assert {event.steps for event in steps} == {12}
    assert [event.sample for event in events if isinstance(event, Blended)] == [0, 1]
    previews = [event.preview for event in steps if event.preview is not None]
    assert len(previews) == 4
    assert all(preview.shape == image.shape for preview in previews)
    assert all(np.array_equal(preview[200], image[200]) for preview in previews)


def count_calls(network):
    calls = []
    return calls, network.register_forward_hook(lambda *_: calls.append(1))


def test_brushnet_runs_once_per_step_and_not_at_all_where_its_scale_is_zero(conductor):
    image, mask = picture(64, 64), square(64, 64, 10, 40, 10, 40)
    cases = [({"guidance": 7.5}, 10), ({"guidance": 1.0}, 10), ({"preservation_scale": 0.0}, 0)]
    cases += [({"control_start": 0.2, "control_end": 0.7}, 5), ({"guess_mode": True}, 10)]
    for options, expected in cases:
        calls, handle = count_calls(conductor.brushnet)
        paint(conductor, image, mask, scheduler="ddim", **options | {"steps": 10})
        handle.remove()
        assert len(calls) == expected, options


def test_without_brushnet_the_base_paints_alone(conductor):
    image, mask = picture(64, 64), square(64, 64, 10, 40, 10, 40)
    with_it = paint(conductor, image, mask).images[0]
    without = paint(conductor, image, mask, preservation_scale=0.0).images[0]
    assert not np.array_equal(with_it, without)


@pytest.mark.parametrize(
    "options",
    [
        {"negative": "noise"},
        {"guidance": 2.0},
        {"preservation_scale": 0.5},
        {"guess_mode": True},
        {"control_end": 0.5},
        {"strength": 0.6},
        {"clip_skip": 1},
        {"posterior": "sample"},
        {"scheduler": "ddim"},
        {"context": 2.0},
    ],
    ids=lambda options: next(iter(options)),
)
def test_every_option_matters(conductor, options):
    image, mask = picture(90, 90), square(90, 90, 30, 52, 30, 55)
    plain = paint(conductor, image, mask, steps=4).images[0]
    assert not np.array_equal(plain, paint(conductor, image, mask, **{"steps": 4} | options).images[0])


def test_a_cubic_latent_mask_differs_from_the_published_nearest_one(conductor):
    image = picture(90, 90)
    yy, xx = np.mgrid[:90, :90]
    mask = (yy - 45) ** 2 + (xx - 45) ** 2 < 300
    nearest = paint(conductor, image, mask).images[0]
    assert not np.array_equal(nearest, paint(conductor, image, mask, latent_mask="cubic").images[0])


def test_blend_reaches_as_far_as_asked(conductor):
    image, mask = picture(120, 120), square(120, 120, 50, 70, 50, 70)
    for grow in (0, 1, 7):
        painting = paint(conductor, image, mask, grow=grow)
        ys, xs = np.nonzero(painting.region)
        assert (ys.min(), ys.max(), xs.min(), xs.max()) == (50 - grow, 69 + grow, 50 - grow, 69 + grow)
        changed = (painting.images[0] != image).any(axis=2)
        assert not changed[~painting.region].any()


def test_a_wide_blend_is_painted_as_far_as_it_reaches(conductor):
    image, mask = picture(120, 120), square(120, 120, 55, 65, 55, 65)
    painting = paint(conductor, image, mask, grow=40, blur=0)
    ys, xs = np.nonzero((painting.images[0] != image).any(axis=2))
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (15, 104, 15, 104)


def test_the_raw_frame_changes_the_picture_outside_and_says_so(conductor):
    image, mask = picture(64, 64), square(64, 64, 20, 40, 20, 40)
    report = paint(conductor, image, mask, blend=False).reports[0]
    assert report.outside_max_delta > 0
    assert report.outside_changed > 0


def test_a_hole_hides_what_was_there(conductor):
    mask = square(64, 64, 20, 40, 20, 40)
    one, other = picture(64, 64), picture(64, 64)
    other[20:40, 20:40] = 200
    painted = [paint(conductor, image, mask, grow=0).images[0] for image in (one, other)]
    assert np.array_equal(*painted)
    noised = [
        paint(conductor, image, mask, grow=0, strength=0.5, steps=4).images[0] for image in (one, other)
    ]
    assert not np.array_equal(*noised)


def test_bad_input_is_refused_before_any_work(conductor):
    image, mask = picture(20, 20), square(20, 20, 5, 9, 5, 9)
    with pytest.raises(EmptyMask):
        paint(conductor, image, np.zeros((20, 20), np.bool_))
    with pytest.raises(InvalidMask):
        paint(conductor, image, mask[:10])
    with pytest.raises(InvalidMask):
        paint(conductor, image, mask.astype(np.uint8))
    with pytest.raises(InvalidImage):
        paint(conductor, image.astype(np.float32), mask)
    with pytest.raises(InvalidOption, match="unknown scheduler 'magic'"):
        paint(conductor, image, mask, scheduler="magic")
    for scheduler, steps in (("lcm", 60), ("dpm++ 2m", 1000)):
        with pytest.raises(InvalidOption, match="steps") as refused:
            paint(conductor, image, mask, scheduler=scheduler, steps=steps)
        assert refused.value.param == "steps"


def test_a_name_says_which_scheduler_whatever_the_base_ran():
    base = {"use_karras_sigmas": True, "algorithm_type": "sde-dpmsolver++", "solver_order": 3}
    for name, karras, kind in (
        ("dpm++ 2m", False, "dpmsolver++"),
        ("dpm++ 2m karras", True, "dpmsolver++"),
        ("dpm++ 2m sde", False, "sde-dpmsolver++"),
    ):
        config = make_scheduler(name, base).config
        assert (config["use_karras_sigmas"], config["algorithm_type"]) == (karras, kind)
        assert config["solver_order"] == 2
    assert not make_scheduler("euler", base).config["use_karras_sigmas"]


def test_a_brushnet_of_another_shape_is_refused(conductor):
    from brushedit.diffusion.brushnet import BrushNetModel

    other = BrushNetModel(
        block_out_channels=(32, 32),
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        layers_per_block=1,
        norm_num_groups=8,
    )
    with pytest.raises(InvalidWeights, match="block_out_channels"):
        BrushNetConductor(conductor.base, other)


def test_the_input_is_left_alone(conductor):
    image, mask = picture(64, 64), square(64, 64, 20, 40, 20, 40)
    before = image.copy(), mask.copy()
    paint(conductor, image, mask)
    assert np.array_equal(image, before[0])
    assert np.array_equal(mask, before[1])


def test_torchs_modes_do_not_leak_to_the_caller(conductor):
    events = conductor.paint(picture(64, 64), square(64, 64, 10, 40, 10, 40), "a ball", PaintOptions(steps=2))
    for _ in events:
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()
