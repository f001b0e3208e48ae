"""Train a small behaviour-cloning policy on an exported dataset and compare it with two policies that learn nothing.

    python examples/train_bc.py DATASET [--steps 400] [--seed 0]

The policy sees one small picture and the current state and predicts the next actions. It is judged on episodes it has not seen (on the
end of the recording when there is only one episode), in units of each column's own spread, against

    the mean      always answers with the mean action of the training data
    hold still    always answers with the current state, which is hard to beat: between two frames a hand hardly moves

Exits 0 only when the policy ends below the mean. Takes about a minute on two CPU cores.
"""

import argparse
import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from firsthand.capture.errors import FirsthandError
from firsthand.datasets.loader import WindowDataset
from firsthand.datasets.window import Window

STATE, ACTION, WEIGHT = "observation.state", "action", "action.weight"
PICTURE_PX = (60, 80)


class Policy(nn.Module):
    """A picture and a state to `steps` actions, all normalised; nothing it knows at the start helps it."""

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self.see = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 2), nn.ReLU(), nn.Conv2d(32, 32, 3, 2), nn.ReLU(),
            nn.AdaptiveAvgPool2d((3, 4)), nn.Flatten(), nn.Linear(32 * 12, 64), nn.ReLU())  # fmt: skip
        self.act = nn.Sequential(nn.Linear(64 + width, 128), nn.ReLU(), nn.Linear(128, steps * width))
        self.along = nn.Linear(width, steps * width)

    def forward(self, picture: Tensor, state: Tensor) -> Tensor:
        seen = self.see(picture.float() / 255 - 0.5)
        actions: Tensor = self.along(state) + self.act(torch.cat([seen, state], 1))
        return actions.unflatten(1, (-1, state.shape[1]))


def split(windows: WindowDataset) -> tuple[list[int], list[int]]:
    """Items to train and to validate on: every fifth episode, or of a single one the last fifth, a window's length apart."""
    episode = windows.episodes
    numbers = sorted(set(episode.tolist()))
    if len(numbers) > 1:
        held_out = np.isin(episode, numbers[:: min(5, len(numbers))])
        return np.flatnonzero(~held_out).tolist(), np.flatnonzero(held_out).tolist()
    edge = int(windows.rows[int(len(windows) * 0.8)])
    guard = windows.window.action_steps + windows.window.observation_steps
    return np.flatnonzero(windows.rows < edge - guard).tolist(), np.flatnonzero(windows.rows >= edge).tolist()


def loss_of(predicted: Tensor, action: Tensor, weight: Tensor) -> Tensor:
    """Mean squared error where the action was really seen."""
    return ((predicted - action) ** 2 * weight).sum() / weight.sum().clamp(min=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--steps", type=int, default=400, help="optimiser steps")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    random.seed(options.seed)

    windows = WindowDataset(options.dataset, Window(action_steps=8, image_px=PICTURE_PX))
    train, validation = split(windows)
    if not train or not validation:
        raise FirsthandError(f"{options.dataset} has too few windows to train and to validate; record another episode")
    camera = windows.cameras[0]

    # Normalise with the training items only: what is held out must stay unknown.
    blind = WindowDataset(options.dataset, replace(windows.window, images=False))
    actions = torch.cat([blind[i][ACTION] for i in train])
    mean, std = actions.mean(0), actions.std(0).clamp(min=1e-3)

    def ready(batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return batch[camera][:, -1], (batch[STATE][:, -1] - mean) / std, (batch[ACTION] - mean) / std, batch[WEIGHT]

    policy = Policy(len(mean), windows.window.action_steps)
    optimiser = torch.optim.AdamW(policy.parameters(), 1e-3)
    held_out = [ready(batch) for batch in DataLoader(Subset(windows, validation), 64)]  # type: ignore[arg-type]

    def judge(answer: str) -> float:
        total, count = 0.0, 0.0
        with torch.no_grad():
            for picture, state, action, weight in held_out:
                zero = torch.zeros_like(action)
                predicted = policy(picture, state) if answer == "policy" else zero if answer == "mean" else zero + state[:, None]
                total += float(loss_of(predicted, action, weight) * weight.sum())
                count += float(weight.sum())
        return total / count

    print(f"{len(train)} windows to train on, {len(validation)} to validate, {len(mean)} columns, {windows.fps} frames a second")
    print(f"{'step':>6} {'training':>10} {'validation':>11} {'the mean':>10} {'hold still':>11}")
    batches, step, running = DataLoader(Subset(windows, train), 32, shuffle=True), 0, 0.0  # type: ignore[arg-type,var-annotated]
    while step < options.steps:
        for batch in batches:
            picture, state, action, weight = ready(batch)
            loss = loss_of(policy(picture, state), action, weight)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step, running = step + 1, 0.9 * running + 0.1 * loss.item() if step else loss.item()
            if step % max(1, options.steps // 8) == 0 or step == options.steps:
                print(f"{step:>6} {running:>10.4f} {judge('policy'):>11.4f} {judge('mean'):>10.4f} {judge('hold'):>11.4f}", flush=True)
            if step == options.steps:
                break

    policy_loss, mean_loss, hold_loss = judge("policy"), judge("mean"), judge("hold")
    print(f"\nvalidation loss {policy_loss:.4f}: {policy_loss / mean_loss:.2f} of always answering with the mean, "
          f"{policy_loss / hold_loss:.2f} of holding still")
    return 0 if policy_loss < mean_loss else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FirsthandError as error:
        sys.exit(str(error))
