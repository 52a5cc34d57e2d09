"""The training loop: seeded, checkpointed, and after a kill on the same curve as if it had never stopped.

A step's patch and loss depend on the seed, the step and the state alone. The state (weights, their moving
average, the optimiser's moments) is one safetensors file written whole every so many steps; the curve is a
JSON-lines file cut back to the checkpoint on resuming.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from nvc_pipeline.config.segment import PlanConfig
from nvc_pipeline.errors import InputRefused, InternalFault
from nvc_pipeline.segment.network import LightUNet, NetworkSpec, build
from nvc_pipeline.store.atomic import read_json, write_bytes, write_json, write_text

Batch = tuple[Tensor, ...]
Log = Callable[[str], None]


@dataclass(frozen=True)
class Task:
    """What one network is trained on.

    Parameters
    ----------
    name:
        Names the files of checkpoint and curve.
    spec:
        The network.
    batch:
        A step's number to its batch; the first tensor is the input. A pure function.
    loss:
        Logits, the batch and the progress (0 to 1) to a scalar.
    """

    name: str
    spec: NetworkSpec
    batch: Callable[[int], Batch]
    loss: Callable[[Tensor, Batch, float], Tensor]


class _Steps(Dataset[Batch], Sized):
    def __init__(self, batch: Callable[[int], Batch], first: int, last: int) -> None:
        self.batch, self.first, self.last = batch, first, last

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, index: int) -> Batch:
        return self.batch(self.first + index)


def fit(
    task: Task,
    plan: PlanConfig,
    out: Path,
    *,
    seed: int,
    workers: int = 0,
    start: dict[str, Tensor] | None = None,
    resume: bool = False,
    log: Log | None = None,
) -> dict[str, Tensor]:
    """Train; return the moving average of the weights.

    Parameters
    ----------
    out:
        Folder for ``<name>.checkpoint.safetensors``, ``<name>.curve.jsonl``.
    start:
        Weights to begin with (fine-tuning, warm start); drawn from ``seed`` if None.
    resume:
        Go on from the checkpoint in ``out`` if there is one.

    Raises
    ------
    InputRefused
        ``train.checkpoint``: the checkpoint in ``out`` is of another run.
    InternalFault
        ``train.diverged``: the loss is not finite.
    """
    # Channels last: an eighth faster on a processor without bfloat16.
    network = build(task.spec, seed).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    if start is not None:
        network.load_state_dict(start)
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    checkpoint = _Checkpoint(out, task.name, f"{task.name}/{seed}/{plan.model_dump_json()}")
    first = checkpoint.restore(network, average, optimiser) if resume else 0
    half = plan.bfloat16 and bfloat16_is_fast()
    if plan.bfloat16 and not half and log is not None:
        log(f"{task.name}: this processor computes no bfloat16, 32 bits are used")
    curve = _Curve(out / f"{task.name}.curve.jsonl", first)
    network.train()
    begun, step = time.monotonic(), first
    for step, batch in zip(range(first, plan.steps), _load(task, first, plan.steps, workers), strict=False):
        progress = _progress(step, plan, time.monotonic() - begun)
        for group in optimiser.param_groups:
            group["lr"] = plan.learning_rate * _schedule(step, progress, plan)
        loss = _step(network, optimiser, task, batch, progress, bfloat16=half)
        _follow(average, network, min(plan.ema_decay, (1 + step) / (10 + step)))
        curve.add(step, loss)
        done = step + 1
        if done % plan.checkpoint_steps == 0 or done == plan.steps:
            checkpoint.keep(done, network, average, optimiser)
            curve.flush()
            if log is not None:
                log(f"{task.name}: step {done} of {plan.steps}, loss {curve.recent():.4f}")
        if plan.minutes and time.monotonic() - begun > plan.minutes * 60:
            checkpoint.keep(done, network, average, optimiser)
            break
    curve.flush()
    return average


def bfloat16_is_fast() -> bool:
    """Tell whether the processor has instructions for bfloat16.

    Without them it is emulated: 9.7 s a step of the fine network, 1.05 s with 32 bits (one core, AVX2).
    """
    known = torch.cpu.get_capabilities()
    return any(bool(known.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16", "arm_bf16"))


def _step(
    network: LightUNet,
    optimiser: torch.optim.Optimizer,
    task: Task,
    batch: Batch,
    progress: float,
    *,
    bfloat16: bool,
) -> float:
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        logits = network(batch[0])
    loss = task.loss(logits.float(), batch, progress)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise InternalFault(
            "train.diverged",
            "The training loss is not a number any more",
            where=task.name,
            remedy="lower the learning rate and resume from the last checkpoint",
        )
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimiser.step()
    return value


def _load(task: Task, first: int, last: int, workers: int) -> Iterator[Batch]:
    loader: Any = DataLoader(
        _Steps(task.batch, first, last),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        multiprocessing_context="fork" if workers else None,
        worker_init_fn=_one_thread if workers else None,
    )
    return iter(loader)


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def _progress(step: int, plan: PlanConfig, seconds: float) -> float:
    by_time = seconds / (plan.minutes * 60) if plan.minutes else 0.0
    return min(1.0, max(step / plan.steps, by_time))


def _schedule(step: int, progress: float, plan: PlanConfig) -> float:
    """Linear warm-up, then a cosine to 2 % of the learning rate."""
    return min(1.0, (step + 1) / plan.warmup_steps) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))


def _follow(average: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for key, value in network.state_dict().items():
            average[key].lerp_(value, 1 - decay)


class _Checkpoint:
    """One run's state on disk."""

    def __init__(self, out: Path, name: str, run: str) -> None:
        self.state = out / f"{name}.checkpoint.safetensors"
        self.index = out / f"{name}.checkpoint.json"
        self.run = run

    def keep(
        self, step: int, network: nn.Module, average: dict[str, Tensor], optimiser: torch.optim.Optimizer
    ) -> None:
        tensors = {f"weights.{k}": v for k, v in network.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in average.items()}
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{key}": torch.as_tensor(v) for key, v in moments.items()}
        data = {key: value.detach().contiguous().clone() for key, value in tensors.items()}
        write_bytes(self.state, save(data, {"step": str(step), "run": self.run}))
        write_json(self.index, {"step": step, "run": self.run})

    def restore(
        self, network: nn.Module, average: dict[str, Tensor], optimiser: torch.optim.Optimizer
    ) -> int:
        if not self.state.is_file():
            return 0
        data = self.state.read_bytes()
        length = int.from_bytes(data[:8], "little")
        about = json.loads(data[8 : 8 + length])["__metadata__"]
        if about["run"] != self.run:
            raise InputRefused(
                "train.checkpoint",
                "The checkpoint belongs to a run with other settings",
                where=str(self.state),
                remedy="resume with the same configuration, or choose an empty --out",
            )
        tensors = load(data)
        network.load_state_dict(
            {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")}
        )
        for key in average:
            average[key].copy_(tensors[f"average.{key}"])
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimiser."):
                _, index, name = key.split(".")
                moments.setdefault(int(index), {})[name] = value
        state = optimiser.state_dict()
        optimiser.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
        return int(about["step"])


class _Curve:
    """The loss of every step, one JSON object a line."""

    def __init__(self, path: Path, first: int) -> None:
        self.path = path
        self.lines: list[str] = []
        if first and path.is_file():
            self.lines = path.read_text(encoding="utf-8").splitlines()[:first]
        self.values: list[float] = [json.loads(line)["loss"] for line in self.lines[-500:]]

    def add(self, step: int, loss: float) -> None:
        self.lines.append(json.dumps({"step": step, "loss": loss}))
        self.values.append(loss)

    def recent(self) -> float:
        tail = self.values[-500:]
        return sum(tail) / max(len(tail), 1)

    def flush(self) -> None:
        write_text(self.path, "\n".join(self.lines) + "\n" if self.lines else "")


def checkpoint_average(out: Path, name: str) -> dict[str, Tensor] | None:
    """Return the averaged weights of a run's last checkpoint, or None where there is none."""
    path = out / f"{name}.checkpoint.safetensors"
    if not path.is_file():
        return None
    tensors = load(path.read_bytes())
    return {k.removeprefix("average."): v for k, v in tensors.items() if k.startswith("average.")}


def checkpoint_step(out: Path, name: str) -> int:
    """Return how many steps a run's last checkpoint has seen."""
    path = out / f"{name}.checkpoint.json"
    return int(read_json(path)["step"]) if path.is_file() else 0
