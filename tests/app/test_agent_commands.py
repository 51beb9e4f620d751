"""The agent's commands, on five small random networks in one folder of the published layout."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from agents.editor import Editor
from agents.locator import Locator
from agents.plan_schema import plan_to_json
from agents.planner import Planner, read_prompt
from app.bootstrap import AgentChoice
from app.commands import doctor, edit, mask, plan, weights
from brushedit.errors import EditError
from brushedit.options import PaintOptions
from brushedit.types import Box, EditKind, EditPlan, EditRequest, EditStep, Image, Mask, Point
from models import untrained
from models.catalog import find_profile
from models.checkpoint import write_network
from models.grounding_dino import build as build_dino
from models.loading import Places, open_detector, open_segmenter
from models.placement import Placement
from models.sam import SegmentAnything
from models.sam import build as build_sam
from tests.agents.fakes import FilledBoxes, FlatPainter, ScriptedModel, plan_reply, step_json
from tests.models import tiny

CLI = typer.Typer()
for command in (edit.edit, plan.plan, mask.mask, doctor.doctor):
    CLI.command()(command)
CLI.add_typer(weights.cli, name="weights")

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toybox")
    torch.manual_seed(0)
    untrained.save(folder, 0)
    write_network(
        folder / "grounding_dino",
        build_dino(tiny.DINO, tiny.bert_tokenizer(folder / "grounding_dino")),
        tiny.DINO,
    )
    write_network(folder / "sam", build_sam(tiny.SAM), tiny.SAM)
    tiny.write_qwen2_vl(folder / "vlms" / "instructor")
    PIL.Image.fromarray(PIXELS).save(folder / "in.png")
    steps = (
        EditStep(EditKind.ADD, "red ball", "a red ball", where="on the left"),
        EditStep(EditKind.LOCAL, "blue cube", "a green cube"),
    )
    (folder / "plan.json").write_text(plan_to_json(EditPlan(steps)))
    return folder


def run(folder: Path, *arguments: object) -> Result:
    return CliRunner().invoke(
        CLI, [str(argument) for argument in (*arguments, "--weights", folder)], catch_exceptions=True
    )


def refused(folder: Path, *arguments: object) -> EditError:
    result = run(folder, *arguments)
    assert isinstance(result.exception, EditError), result.output
    return result.exception


def pixels(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(PIL.Image.open(path))


def test_an_edit_runs_through_all_networks_and_keeps_the_rest(folder: Path, tmp_path: Path) -> None:
    out, region = tmp_path / "out.png", tmp_path / "region.png"
    arguments = ("edit", folder / "in.png", "", "--plan", folder / "plan.json", "--steps", 2, "--seed", 7)
    result = run(folder, *arguments, "-o", out, "--show-mask", region, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    told = json.loads(result.stdout.strip().splitlines()[-1])
    (one,) = told["results"]
    assert one["seed"] == 7
    assert one["outside_max_delta"] == one["outside_changed"] == 0
    assert [step["kind"] for step in told["plan"]["steps"]] == ["add", "local"]
    assert set(told["timings"]) == {"plan", "locate", "paint"}
    assert pixels(out).shape == PIXELS.shape
    assert (pixels(out) != PIXELS).any()
    assert pixels(region).any()
    again = tmp_path / "again.png"
    assert run(folder, *arguments, "-o", again).exit_code == 0
    assert np.array_equal(pixels(again), pixels(out))


def test_the_instructor_plans_from_the_command_line(folder: Path) -> None:
    """Random weights plan or decline, and nothing else; a plan is one that `edit --plan` reads."""
    result = run(folder, "plan", folder / "in.png", "remove the blue cube")
    if result.exception is None:
        assert json.loads(result.stdout)["steps"]
    else:
        assert isinstance(result.exception, EditError)
        assert result.exception.code == "plan_failed"


def test_a_mask_is_written_for_a_phrase_a_box_and_a_click(folder: Path, tmp_path: Path) -> None:
    for guidance in (
        (),
        ("--box", "4,4,30,30"),
        ("--point", "20,20", "--point", "60,40,-"),
        ("--background",),
    ):
        out = tmp_path / "mask.png"
        result = run(folder, "mask", folder / "in.png", "blue cube", "-o", out, *guidance)
        if isinstance(result.exception, EditError):
            assert result.exception.code == "mask_empty"
            continue
        assert result.exit_code == 0, (result.output, result.exception)
        told = json.loads(result.stdout.splitlines()[0])
        assert pixels(out).shape[:2] == PIXELS.shape[:2]
        assert told["coverage"] == pytest.approx((pixels(out) > 0).mean())


@pytest.mark.parametrize(
    ("arguments", "code", "param"),
    [
        (("",), "invalid_instruction", "instruction"),
        (("x" * 20_000,), "invalid_instruction", "instruction"),
        (("x", "--box", "100,100,200,200"), "invalid_mask", "box"),
        (("x", "--box", "1,2,3"), "invalid_mask", "box"),
        (("x", "--point", "1"), "invalid_mask", "points"),
        (("x", "--point", "1,2,?"), "invalid_mask", "points"),
        (("x", "--point", "999,2"), "invalid_mask", "points"),
        (("x", "--mask-mode", "multiply"), "invalid_option", "mask_mode"),
        (("x", "--plan", "in.png"), "invalid_option", "plan"),
        (("x", "--profile", "sd99"), "invalid_option", "profile"),
    ],
)
def test_what_cannot_be_done_is_said_before_networks_are_loaded(
    folder: Path, tmp_path: Path, arguments: tuple[str, ...], code: str, param: str
) -> None:
    error = refused(folder, "edit", folder / "in.png", *arguments, "-o", tmp_path / "out.png")
    assert (error.code, error.param) == (code, param)


def test_an_instructor_is_a_model_at_an_address(folder: Path) -> None:
    result = run(folder, "plan", folder / "in.png", "remove the cube", "--instructor", "gpt")
    assert result.exit_code == 2
    assert "MODEL@URL" in result.stderr


def test_missing_weights_are_named_with_the_way_to_get_them(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "base_model").mkdir()
    error = refused(
        tmp_path, "mask", folder / "in.png", "blue cube", "-o", tmp_path / "m.png", "--profile", "sd15"
    )
    assert error.code == "invalid_weights"
    assert "groundingdino_swint_ogc.pth" in error.message
    assert "weights pull" in error.message


def test_weights_and_doctor_tell_what_is_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(CLI, ["weights", "list"])
    assert "TencentARC/BrushEdit" in result.stdout
    assert "not for use in the European Union" in result.stdout
    assert "present" in run(folder, "weights", "check", "toybox").stdout
    report = run(folder, "weights", "check", "sd15")
    assert report.exit_code == 1
    assert "missing: sam_vit_h_4b8939.pth" in report.stdout
    told = run(folder, "doctor").stdout
    assert "profile toybox     complete" in told
    assert "profile sd15       lacks instructor, detector" in told
    refusal = run(folder, "weights", "pull", "sd15").exception
    assert isinstance(refusal, EditError)
    assert refusal.param == "accept_licence"


def test_a_second_turn_on_a_picture_costs_no_encoder_pass(folder: Path) -> None:
    """With real networks, before a scripted instructor and painter: what the agent asks of each."""
    choice, placement = AgentChoice(places=Places([folder])), Placement(torch.device("cpu"))
    profile = find_profile("toybox")
    detector = open_detector(profile, choice.places, placement)
    segmenter = open_segmenter(profile, choice.places, placement, torch.float32)
    planner = Planner(ScriptedModel(*[plan_reply(step_json(kind="local"))] * 2), read_prompt("plan"))
    editor = Editor(planner, Locator(detector, _Solid(segmenter), profile.floor), FlatPainter())
    for instruction in ("make the blue cube green", "no, yellow"):
        list(editor.edit(EditRequest(PIXELS, instruction, options=PaintOptions(steps=1))))
        assert (detector.passes, segmenter.passes) == (1, 1)
    assert planner.calls == 2


class _Solid:
    """A segmenter that asks a real one, whose random mask may be empty, and fills the box."""

    def __init__(self, segmenter: SegmentAnything) -> None:
        self._segmenter = segmenter

    def segment(self, image: Image, box: Box | None, points: Sequence[Point]) -> tuple[Mask, float]:
        _, score = self._segmenter.segment(image, box, points)
        return FilledBoxes().segment(image, box, points)[0], score
