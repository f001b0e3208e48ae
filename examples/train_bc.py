"""Train a small behaviour-cloning policy on an exported dataset and compare it with two policies that learn nothing.

    python examples/train_bc.py DATASET [--steps 1000] [--seed 0]

The policy sees one small picture and the current state and predicts the next actions. It is judged on episodes it has not seen (of a
single episode, on stretches it has not seen), in units of each column's own spread, against

    the mean      always answers with the mean action of the training data
    hold still    always answers with the current state, which is hard to beat: between two frames a hand hardly moves

Exits 0 only when the policy ends below the mean. Takes about a minute on two CPU cores.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from firsthand.capture.errors import FirsthandError
from firsthand.datasets.loader import WindowDataset
from firsthand.datasets.window import Window

ACTION_STEPS = 8
PICTURE_PX = (60, 80)
MOST_WINDOWS = 4000  # kept in memory, as small pictures; of a longer dataset every n-th


class Policy(nn.Module):
    """A picture and a state to the next actions, all normalised; nothing it knows at the start helps it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.see = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 2), nn.ReLU(), nn.Conv2d(32, 32, 3, 2), nn.ReLU(),
            nn.AdaptiveAvgPool2d((3, 4)), nn.Flatten(), nn.Linear(32 * 12, 32), nn.ReLU(), nn.Dropout(0.2))  # fmt: skip
        self.act = nn.Sequential(nn.Linear(32 + width, 128), nn.ReLU(), nn.Linear(128, ACTION_STEPS * width))
        self.along = nn.Linear(width, ACTION_STEPS * width)

    def forward(self, picture: Tensor, state: Tensor) -> Tensor:
        seen = self.see(picture.float() / 255 - 0.5)
        actions: Tensor = self.along(state) + self.act(torch.cat([seen, state], 1))
        return actions.unflatten(1, (ACTION_STEPS, -1))


def split(windows: WindowDataset) -> tuple[Tensor, Tensor]:
    """Items to train and to validate on: every fifth episode; of a single one every fifth stretch, a window's length apart."""
    numbers = np.unique(windows.episodes)
    if len(numbers) > 1:
        held_out = np.isin(windows.episodes, numbers[:: min(5, len(numbers))])
        return torch.tensor(np.flatnonzero(~held_out)), torch.tensor(np.flatnonzero(held_out))
    edges = np.linspace(windows.rows[0], windows.rows[-1] + 1, 21)
    held_out = (np.digitize(windows.rows, edges) - 1) % 5 == 2
    shut = np.zeros(windows.rows[-1] + 1)
    shut[windows.rows[held_out]] = 1
    near = np.convolve(shut, np.ones(2 * ACTION_STEPS + 1), "same")[windows.rows] > 0
    return torch.tensor(np.flatnonzero(~near)), torch.tensor(np.flatnonzero(held_out))


def loss_of(predicted: Tensor, action: Tensor, weight: Tensor) -> Tensor:
    """Mean squared error where the action was really seen."""
    return ((predicted - action) ** 2 * weight).sum() / weight.sum().clamp(min=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--steps", type=int, default=1000, help="optimiser steps")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)  # layers this small lose more to waiting for each other than they gain

    every = len(WindowDataset(options.dataset, Window(action_steps=ACTION_STEPS)))
    stride = -(-every // MOST_WINDOWS)
    windows = WindowDataset(options.dataset, Window(action_steps=ACTION_STEPS, image_px=PICTURE_PX, stride=stride))
    train, validation = split(windows)
    if not len(train) or not len(validation):
        raise FirsthandError(f"{options.dataset} has too few windows to train and to validate; record another episode")
    print(f"reading {len(windows)} windows ...", flush=True)
    batches = list(DataLoader(windows, 64))  # type: ignore[arg-type,var-annotated]
    pictures, states, actions, weights = (torch.cat([batch[name] for batch in batches]) for name in (
        windows.cameras[0], "observation.state", "action", "action.weight"))
    # Normalised with what is trained on only: what is held out must stay unknown.
    mean, std = actions[train].mean((0, 1)), actions[train].std((0, 1)).clamp(min=1e-2)
    pictures, states, actions = pictures[:, -1], (states[:, -1] - mean) / std, (actions - mean) / std

    policy = Policy(len(mean))
    optimiser = torch.optim.AdamW(policy.parameters(), 1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.steps)

    def judge() -> tuple[float, ...]:
        """Validation loss of the policy, of the mean, and of holding still."""
        wanted, weight = actions[validation], weights[validation]
        policy.eval()
        with torch.no_grad():
            answer = torch.cat([policy(pictures[part], states[part]) for part in validation.split(256)])
        policy.train()
        still = states[validation][:, None].expand_as(wanted)
        answers = (answer, torch.zeros_like(wanted), still)
        return tuple(float(loss_of(guess, wanted, weight)) for guess in answers)

    print(f"{len(train)} to train on, {len(validation)} to validate; {len(mean)} columns, {windows.fps} frames a second")
    print(f"{'step':>6} {'training':>10} {'validation':>11} {'the mean':>10} {'hold still':>11}")
    running = float("nan")
    for step in range(options.steps + 1):
        if step % max(1, options.steps // 8) == 0 or step == options.steps:
            policy_loss, mean_loss, still_loss = judge()
            print(f"{step:>6} {running:>10.4f} {policy_loss:>11.4f} {mean_loss:>10.4f} {still_loss:>11.4f}", flush=True)
        batch = train[torch.randint(len(train), (32,))]
        loss = loss_of(policy(pictures[batch], states[batch]), actions[batch], weights[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        running = loss.item() if running != running else 0.9 * running + 0.1 * loss.item()

    print(f"\nvalidation loss {policy_loss:.4f}: {policy_loss / mean_loss:.2f} of always answering with the mean, "
          f"{policy_loss / still_loss:.2f} of holding still")
    return 0 if policy_loss < mean_loss else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FirsthandError as error:
        sys.exit(str(error))
