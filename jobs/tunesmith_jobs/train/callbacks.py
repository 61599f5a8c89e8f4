"""What happens between two steps of the trainer: one concern a class."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from transformers import TrainerCallback

from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.device import Device
from tunesmith_jobs.train import adapter
from tunesmith_jobs.train.checkpoints import Checkpoints
from tunesmith_jobs.train.distributed import Processes
from tunesmith_jobs.train.history import best_step, patience_is_over
from tunesmith_jobs.train.resume import BEST, keep_extras

_EPSILON = 1e-6  # of an epoch that is a sum of steps


class Callbacks:
    """All callbacks of one training. `patience`: of early stopping, which 0 turns off."""

    def __init__(
        self, attempt: Attempt, device: Device, processes: Processes, checkpoints: Checkpoints, patience: int
    ) -> None:
        self._progress = ShowProgress(attempt, device)
        self._early = StopEarly(attempt, patience, processes) if patience else None
        self._stop = StopWhenTold(attempt, processes)
        self._keep = KeepCheckpoints(checkpoints, self._stop, processes)

    def add_to(self, trainer: Any) -> None:
        """Add them in the order that counts: a step is judged before its checkpoint is stored."""
        trainer.add_callback(SameOrder())
        trainer.add_callback(self._progress)
        if self._early is not None:
            trainer.add_callback(self._early)
        trainer.add_callback(self._stop)
        trainer.add_callback(self._keep)

    @property
    def cut_short(self) -> bool:
        """Whether training was told to stop before it had come to an end of its own."""
        ended_early = self._early is not None and self._early.stopped
        return self._stop.stopped and not ended_early


@dataclass(frozen=True)
class _Start:
    """Where this process began."""

    time: float
    step: int
    tokens: int


class ShowProgress(TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """A progress event per step, with the latest loss and the time left; speed and memory into the log."""

    def __init__(self, attempt: Attempt, device: Device) -> None:
        self._attempt = attempt
        self._device = device
        self._start = _Start(time.monotonic(), step=0, tokens=0)
        self._metrics: dict[str, float] = {}

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Note where this process begins."""
        self._start = _Start(time.monotonic(), state.global_step, state.num_input_tokens_seen)

    def on_log(
        self, _args: Any, state: Any, _control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Print the entry that the trainer has just made; add speed and memory to it."""
        if not logs:
            return
        position = f"step {state.global_step} of {state.max_steps}"
        seconds = time.monotonic() - self._start.time
        if "loss" in logs and seconds:
            loss = logs["loss"]
            speed = round((state.num_input_tokens_seen - self._start.tokens) / seconds, 1)
            state.log_history[-1] |= {
                "tokens_per_second": speed,
                "peak_memory_bytes": self._device.peak_memory(),
            }
            self._metrics = {"loss": float(loss), "tokensPerSecond": speed}
            self._attempt.say(f"{position}: loss {loss:.4f}, {speed:.0f} tokens/s")
        elif "eval_loss" in logs:
            self._attempt.say(f"{position}: validation loss {logs['eval_loss']:.4f}")

    def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Report the step, at the stage's bounded rate."""
        seconds = time.monotonic() - self._start.time
        steps = state.global_step - self._start.step
        eta = seconds / steps * (state.max_steps - state.global_step)
        self._attempt.progress(
            state.global_step, state.max_steps, "steps", phase="train", eta=eta, **self._metrics
        )


class SameOrder(TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """Tells the sampler which epoch begins, so that the rows come in the same order after a resume.

    With several processes, resuming in the middle of an epoch wraps the sampler too deep for the trainer.
    """

    def on_epoch_begin(
        self, _args: Any, state: Any, _control: Any, train_dataloader: Any = None, **_: Any
    ) -> None:
        """Set the epoch; `state.epoch` is a fraction after a resume."""
        train_dataloader.set_epoch(int((state.epoch or 0) + _EPSILON))


class StopWhenTold(TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """When told to stop: a checkpoint at the end of this step, and then the end.

    All processes stop at the same step.
    """

    def __init__(self, attempt: Attempt, processes: Processes) -> None:
        self._attempt = attempt
        self._processes = processes
        self.stopped = False

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop here if any process was told to.

        An evaluation that is due at this step still happens, so that a resumed run has had the same ones.
        """
        told = self._processes.any_of_them(flag=self._attempt.stopping)
        if told and state.global_step < state.max_steps:
            self._attempt.stop()  # another process may have been told first
            self.stopped = True
            control.should_save = True
            control.should_training_stop = True


class KeepCheckpoints(TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """Puts each checkpoint into the store, together with the best adapter so far and the notes."""

    def __init__(self, checkpoints: Checkpoints, stop: StopWhenTold, processes: Processes) -> None:
        self._checkpoints = checkpoints
        self._stop = stop
        self._processes = processes

    def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Store a checkpoint. The last one before a stop must arrive; others may fail for now."""
        self._processes.wait_for_all()  # each process puts the state of its random numbers into the folder
        if not self._processes.leads:
            return
        folder = Path(args.output_dir)
        checkpoint = folder / f"checkpoint-{state.global_step}"
        keep_extras(folder, checkpoint)
        if self._stop.stopped:
            self._checkpoints.save(checkpoint, state.global_step)
        else:
            self._checkpoints.save_if_possible(checkpoint, state.global_step)


class StopEarly(TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """Keeps the adapter with the least validation loss; ends training when no better one comes any more."""

    def __init__(self, attempt: Attempt, patience: int, processes: Processes) -> None:
        self._attempt = attempt
        self._processes = processes
        self._patience = patience
        self.stopped = False

    def on_evaluate(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Judge the step by the trainer's log, which a checkpoint holds."""
        if self._processes.leads and best_step(state.log_history) == state.global_step:
            save_file(adapter.weights(model), Path(args.output_dir) / BEST)
        if patience_is_over(state.log_history, self._patience):
            self._attempt.say(
                f"the validation loss has not fallen for {self._patience} evaluations: "
                f"stopping at step {state.global_step}"
            )
            self.stopped = True
            control.should_training_stop = True
