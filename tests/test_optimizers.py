"""Every optimiser of torch's by its name: resumed to the bit, its mistakes said in one line."""

from pathlib import Path

import pytest
import torch
from torch import nn

from gandem.domains.images.store import ImageData
from gandem.errors import RecipeError
from gandem.recipe import OptimizerOptions, TrainingOptions, load_recipe
from gandem.training import checkpoint
from gandem.training.budget import Budget
from gandem.training.engine import Engine
from gandem.training.loop import Loop
from gandem.training.optimizers import OPTIMIZERS, load_tensors, make_optimizer, next_update, step, tensors
from helpers import perturb, tiny_game

TRUE, FALSE = torch.tensor(True), torch.tensor(False)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(3, 1)).to(memory_format=torch.channels_last)


def play(player: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for number in steps:
        rng = torch.Generator().manual_seed(number)
        optimizer.zero_grad()
        player(torch.randn(8, 2, 3, 3, generator=rng)).square().mean().backward()
        step(optimizer, TRUE)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_each_continues_to_the_bit(kind: str) -> None:
    options = OptimizerOptions(kind=kind, lr=1e-2)
    whole, half, resumed = network(), network(), network()
    optimizer = make_optimizer(options, whole)
    play(whole, optimizer, range(6))
    first = make_optimizer(options, half)
    play(half, first, range(3))
    resumed.load_state_dict(half.state_dict())
    second = make_optimizer(options, resumed)
    kept = tensors(first)
    assert all(isinstance(value, torch.Tensor) for value in kept.values())
    load_tensors(second, {name: value.contiguous() for name, value in kept.items()})  # as safetensors gives them back
    play(resumed, second, range(3, 6))
    assert all(torch.equal(*pair) for pair in zip(whole.parameters(), resumed.parameters(), strict=True))
    assert tensors(optimizer).keys() == tensors(second).keys()
    assert all(torch.equal(value, tensors(second)[name]) for name, value in tensors(optimizer).items())
    assert any(not torch.equal(*pair) for pair in zip(network().parameters(), whole.parameters(), strict=True))


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_step_that_is_not_finite_is_left_out(kind: str) -> None:
    player = network()
    optimizer = make_optimizer(OptimizerOptions(kind=kind), player)
    play(player, optimizer, range(2))
    before = [value.clone() for value in [*player.parameters(), *tensors(optimizer).values()]]
    for weight in player.parameters():
        weight.grad.fill_(float("nan"))
    step(optimizer, FALSE)
    after = [*player.parameters(), *tensors(optimizer).values()]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("sgd", {"momentum": 0.9}),
        ("rmsprop", {"alpha": 0.9, "centered": True, "momentum": 0.5}),
        ("optimistic_adam", {}),
    ],
)
def test_a_training_resumes_to_the_bit(few: ImageData, tmp_path: Path, kind: str, options: dict) -> None:
    def trainer() -> Loop:
        return Loop(
            tiny_game(few.spec, critic_steps=2, clip=0.3),
            few,
            Engine("cpu"),
            budget=Budget(images=96),
            optimizer=OptimizerOptions(kind=kind, options=options, lr=1e-3, warmup=0, weight_decay=1e-4),
            training=TrainingOptions(batch=16),
        )

    whole, half, resumed = trainer(), trainer(), trainer()
    for _ in range(4):
        whole.play_step(whole.progress)
    for _ in range(2):
        half.play_step(half.progress)
    saved = checkpoint.load(checkpoint.save(tmp_path, *half.state()))
    perturb(*resumed.game.players.values(), *resumed.averages.values())
    resumed.load_state(saved.tensors, saved.numbers)
    for _ in range(2):
        resumed.play_step(resumed.progress)
    (expected, numbers), (found, other_numbers) = whole.state(), resumed.state()
    assert numbers == other_numbers and expected["optimizer_discriminator"]
    for file, group in expected.items():
        assert group.keys() == found[file].keys()
        assert all(torch.equal(value, found[file][name]) for name, value in group.items())


def test_critic_steps_see_fresh_batches(few: ImageData) -> None:
    trainer = Loop(
        tiny_game(few.spec, critic_steps=2),
        few,
        Engine("cpu"),
        budget=Budget(images=96),
        optimizer=OptimizerOptions(),
        training=TrainingOptions(batch=16),
    )
    numbers, batch = [], trainer.batch
    trainer.batch = lambda number: numbers.append(number) or batch(number)  # type: ignore[method-assign]
    for _ in range(2):
        trainer.play_step(0.0)
    assert numbers == [0, 1, 2, 3, 4, 5] and (trainer.step, trainer.images) == (2, 32)
    assert not torch.equal(batch(0)["latent"], batch(1)["latent"])


def test_the_default_is_fused_adam() -> None:
    optimizer = make_optimizer(OptimizerOptions(), network())
    assert type(optimizer) is torch.optim.Adam and optimizer.defaults["fused"]
    assert (optimizer.defaults["betas"], optimizer.defaults["weight_decay"]) == ((0.5, 0.9), 0)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_without_weight_decay_there_is_none(kind: str) -> None:
    """Whatever torch has as its default: 0.01 for AdamW."""
    assert make_optimizer(OptimizerOptions(kind=kind), network()).defaults.get("weight_decay", 0) == 0


def test_what_was_frozen_after_a_while_keeps_the_places_of_the_others() -> None:
    """A state from before is read, whether all weights learnt then or some."""
    player = network()
    first = make_optimizer(OptimizerOptions(lr=1e-2), player)
    play(player, first, range(2))
    player[0].requires_grad_(False)
    second = make_optimizer(OptimizerOptions(lr=1e-2), player)
    load_tensors(second, tensors(first))
    before = [weight.detach().clone() for weight in player.parameters()]
    player.zero_grad(set_to_none=True)
    play(player, second, range(2, 3))
    same = [torch.equal(*pair) for pair in zip(before, player.parameters(), strict=True)]
    assert same == [True, True, False, False]
    assert torch.equal(second.state[player[2].weight]["step"], torch.tensor(3.0))


def test_sgd_is_its_formula() -> None:
    """w - lr (gradient + decay w)."""
    player = network()
    optimizer = make_optimizer(OptimizerOptions(kind="sgd", lr=0.1, weight_decay=0.01), player)
    before = [weight.detach().clone() for weight in player.parameters()]
    play(player, optimizer, range(1))
    for old, weight in zip(before, player.parameters(), strict=True):
        torch.testing.assert_close(weight.detach(), old - 0.1 * (weight.grad + 0.01 * old))


def test_optimism_makes_the_new_step_twice_and_takes_the_last_back() -> None:
    """Gradients 1, 1, -1, ... of one weight, beside what Adam does with the same gradients."""
    plain, hopeful = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    hopeful.load_state_dict(plain.state_dict())
    adam = make_optimizer(OptimizerOptions(), plain)
    optimistic = make_optimizer(OptimizerOptions(kind="optimistic_adam"), hopeful)
    start, places = plain.weight.item(), [plain.weight.item()]
    for gradient in (1.0, 1.0, -1.0, 0.5):
        plain.weight.grad, hopeful.weight.grad = torch.full((1, 1), gradient), torch.full((1, 1), gradient)
        step(adam, TRUE)
        step(optimistic, TRUE)
        places.append(plain.weight.item())
        # The sum of 2 d(t) - d(t - 1) is that of d(t), and the last d once more.
        expected = places[-1] - start + places[-1] - places[-2]
        assert hopeful.weight.item() - start == pytest.approx(expected, abs=1e-6)


def test_the_size_of_the_next_update_is_adam_s() -> None:
    player = network()
    optimizer = make_optimizer(OptimizerOptions(), player)
    assert next_update(optimizer) is None
    play(player, optimizer, range(1))
    assert 0 < next_update(optimizer) < 1
    sgd = make_optimizer(OptimizerOptions(kind="sgd"), player)
    play(player, sgd, range(1))
    assert next_update(sgd) is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "adamm"}, "Did you mean 'adam'"),
        ({"kind": "lbfgs"}, "optimizer.kind = 'lbfgs' is not known"),
        ({"kind": "sgd", "options": {"momentun": 0.9}}, "Did you mean 'momentum'"),
        ({"kind": "sgd", "options": {"lr": 0.9}}, "use optimizer.lr"),
        ({"options": {"betas": [0.1, 0.2]}}, "use optimizer.beta1"),
        ({"kind": "sgd", "options": {"momentum": -1}}, "momentum"),
        ({"kind": "rprop", "weight_decay": 0.1}, "weight_decay"),
    ],
)
def test_a_wrong_choice_is_one_line(settings: dict, said: str) -> None:
    with pytest.raises(RecipeError) as error:
        make_optimizer(OptimizerOptions(**settings), network())
    assert said in str(error.value) and "\n" not in str(error.value)


def test_options_are_read_as_people_write_them() -> None:
    recipe = load_recipe("default", {"optimizer.kind": "adamw", "optimizer.options": {"eps": "1e-6", "amsgrad": True}})
    assert recipe.optimizer.options == {"eps": 1e-6, "amsgrad": True}
    assert make_optimizer(recipe.optimizer, network()).defaults["eps"] == 1e-6
