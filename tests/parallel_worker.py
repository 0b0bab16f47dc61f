"""One process of test_parallel.py: writes the gradients of the first turns and the weights after three steps.

python parallel_worker.py FILE, with RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT when there are several.
"""

import os
import sys

import torch
from safetensors.torch import save_file

from gandem.recipe import OptimizerOptions, TrainingOptions
from gandem.training.budget import Budget
from gandem.training.engine import Engine
from gandem.training.loop import Loop
from helpers import first, perturb, shipped, tiny_game

torch.set_num_threads(1)
data = first(shipped(), 64)
second = os.environ.get("RANK") == "1"
game = tiny_game(data.spec, augmentation=0.5, lecam=0.3)
if second:  # it takes the weights of the first one
    perturb(*game.players.values())
trainer = Loop(
    game,
    data,
    Engine("cpu"),
    budget=Budget(images=48),
    optimizer=OptimizerOptions(warmup=0),
    training=TrainingOptions(batch=16),
)
result = {"processes": torch.tensor(trainer.engine.processes)}
for number, turn in enumerate(trainer.game.turns):
    batch = trainer.batch(number)
    result[f"drawn/{number}"] = torch.rand(100)
    trainer.batch(number)
    result[f"drawn again/{number}"] = torch.rand(100)
    result[f"rows/{turn.player}"] = torch.tensor(len(batch["real"]))
    trainer.gradients(turn, batch, 0.0)
    for name, parameter in trainer.game.players[turn.player].named_parameters():
        result[f"gradient/{turn.player}/{name}"] = parameter.grad.clone().contiguous()
for _ in range(3):
    trainer.play_step(trainer.progress)
for file, tensors in trainer.state()[0].items():
    result |= {f"state/{file}/{name}": value.contiguous() for name, value in tensors.items()}
result["agreed"] = torch.tensor([trainer.engine.agree_unless(stop, 0.25) for stop in (False, second)])
save_file(result, sys.argv[1])
trainer.engine.wait()
os._exit(0)  # gloo sometimes aborts on its way out
