"""A loop that is killed anywhere goes on bit for bit; budgets, rates and averages do what they say."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from brushedit.errors import InvalidWeights
from brushedit.training.loop import Budget, Recipe, Trainer, latest

RECIPE = Recipe(learning_rate=0.05, warmup=3, hold=0.5, ema=0.9)


class Line:
    """Fits y = 3 x - 1 from noisy points, with dropout, so that every source of randomness takes part."""

    batch = 8

    def __init__(self, width: int = 6) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Dropout(0.2), nn.Linear(width, 1))

    def loss(self, rng: np.random.Generator, generator: torch.Generator, progress: float) -> Tensor:
        x = torch.from_numpy(rng.uniform(-1, 1, (self.batch, 1)).astype(np.float32))
        noise = 0.1 * torch.randn(x.shape, generator=generator)
        return (self.network(x) - (3 * x - 1 + noise)).square().mean()


def states(trainer: Trainer) -> list[Tensor]:
    return [*trainer.objective.network.state_dict().values(), *trainer.average.values()]


@pytest.mark.parametrize("killed_after", [1, 4, 9])
def test_resumes_bit_for_bit_after_a_kill(tmp_path: Path, killed_after: int) -> None:
    straight = Trainer(Line(), RECIPE, Budget(steps=12))
    losses = [progress.loss for progress in straight.run()]

    first = Trainer(Line(), RECIPE, Budget(steps=12), tmp_path)
    run = first.run(save_every=0)
    for _ in range(killed_after):
        next(run)
    run.close()
    torch.manual_seed(12345)  # a new process starts with another random state
    second = Trainer(Line(), RECIPE, Budget(steps=12), tmp_path)
    assert second.step == killed_after
    rest = [progress.loss for progress in second.run(save_every=0)]

    assert rest == losses[killed_after:]
    for one, other in zip(states(straight), states(second), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_cut_short_is_not_one(tmp_path: Path) -> None:
    trainer = Trainer(Line(), RECIPE, Budget(steps=2), tmp_path)
    list(trainer.run())
    whole = latest(tmp_path)
    (tmp_path / "draft-1").mkdir()
    assert latest(tmp_path) == whole
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-00000002"]


def test_leaves_the_callers_random_state_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    list(Trainer(Line(), RECIPE, Budget(steps=3)).run())
    assert torch.equal(torch.rand(3), expected)


def test_refuses_the_checkpoint_of_another_network(tmp_path: Path) -> None:
    list(Trainer(Line(), RECIPE, Budget(steps=2), tmp_path).run())
    with pytest.raises(InvalidWeights, match="another network"):
        Trainer(Line(width=7), RECIPE, Budget(steps=2), tmp_path)


def test_learns() -> None:
    losses = [progress.loss for progress in Trainer(Line(), RECIPE, Budget(steps=150)).run()]
    assert losses[-1] < 0.3 * losses[0]


def test_trains_only_what_wants_gradients() -> None:
    line = Line()
    line.network[0].requires_grad_(False)
    frozen = line.network[0].weight.clone()
    trainer = Trainer(line, RECIPE, Budget(steps=3))
    list(trainer.run())
    assert torch.equal(line.network[0].weight, frozen)
    assert set(trainer.average) == {"3.weight", "3.bias"}


def test_the_rate_warms_up_holds_and_falls_to_zero() -> None:
    recipe = Recipe(learning_rate=1.0, warmup=10, hold=0.5)
    assert recipe.rate(0, 0.0) == pytest.approx(0.1)
    assert recipe.rate(50, 0.5) == pytest.approx(1.0)
    assert recipe.rate(75, 0.75) == pytest.approx(0.5)
    assert recipe.rate(100, 1.0) == pytest.approx(0.0)


def test_a_budget_is_steps_or_seconds() -> None:
    assert Budget(steps=10).progress(5, 1e9) == 0.5
    assert Budget(seconds=10).progress(10**9, 2.5) == 0.25
    for wrong in ({}, {"steps": 1, "seconds": 1.0}):
        with pytest.raises(ValueError, match="steps or of seconds"):
            Budget(**wrong)


def test_the_average_takes_the_networks_place() -> None:
    trainer = Trainer(Line(), RECIPE, Budget(steps=5))
    list(trainer.run())
    trainer.load_average()
    for name, parameter in trainer.objective.network.named_parameters():
        assert torch.equal(parameter, trainer.average[name])
