"""What happens between two steps of the trainer: one concern a class."""

import shutil
import time
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from transformers import TrainerCallback

from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.device import Device
from tunesmith_jobs.train import adapter
from tunesmith_jobs.train.checkpoints import Checkpoints
from tunesmith_jobs.train.history import best_step, patience_is_over
from tunesmith_jobs.train.together import Together

BEST = "best.safetensors"
_EPSILON = 1e-6  # of an epoch that is a sum of steps
NOTES = "notes.json"  # what was found before the first step, so that a resumed run need not find it again


class ShowProgress(TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """A progress event per step, with the latest loss and the time left; speed and memory into the log."""

    def __init__(self, attempt: Attempt, device: Device) -> None:
        self._attempt = attempt
        self._device = device
        self._began = (time.monotonic(), 0, 0)
        self._metrics: dict[str, float] = {}

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Note where this process began."""
        self._began = (time.monotonic(), state.global_step, state.num_input_tokens_seen)

    def on_log(
        self, _args: Any, state: Any, _control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Add speed and memory to the entry that the trainer has just made."""
        seconds, tokens = time.monotonic() - self._began[0], state.num_input_tokens_seen - self._began[2]
        if logs and "loss" in logs and seconds:
            speed = round(tokens / seconds, 1)
            state.log_history[-1] |= {
                "tokens_per_second": speed,
                "peak_memory_bytes": self._device.peak_memory(),
            }
            self._metrics = {"loss": float(logs["loss"]), "tokensPerSecond": speed}
            self._attempt.say(
                f"step {state.global_step} of {state.max_steps}: loss {logs['loss']:.4f}, {speed:.0f} tokens/s"
            )
        elif logs and "eval_loss" in logs:
            self._attempt.say(
                f"step {state.global_step} of {state.max_steps}: validation loss {logs['eval_loss']:.4f}"
            )

    def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """One line, at the stage's bounded rate."""
        seconds, steps = time.monotonic() - self._began[0], state.global_step - self._began[1]
        eta = seconds / steps * (state.max_steps - state.global_step)
        self._attempt.progress(
            state.global_step, state.max_steps, "steps", phase="train", eta=eta, **self._metrics
        )


class SameOrder(TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """Tells the sampler which epoch begins: with several processes, resuming in the middle of one wraps it too deep for the trainer."""

    def on_epoch_begin(
        self, _args: Any, state: Any, _control: Any, train_dataloader: Any = None, **_: Any
    ) -> None:
        """`state.epoch` is a fraction after a resume."""
        train_dataloader.set_epoch(int((state.epoch or 0) + _EPSILON))


class StopWhenTold(TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """Told to stop: a checkpoint at the end of this step, and no further one. All processes stop at the same step."""

    def __init__(self, attempt: Attempt, together: Together) -> None:
        self._attempt = attempt
        self._together = together
        self.stopped = False

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        """An evaluation that is due at this step still happens, so that a resumed run has had the same ones."""
        if self._together.any(wish=self._attempt.stopping) and state.global_step < state.max_steps:
            self._attempt.stop()  # another process may have been told first
            self.stopped = control.should_save = control.should_training_stop = True


class KeepCheckpoints(TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """Each checkpoint goes to the store, together with the best adapter so far and the notes."""

    def __init__(self, checkpoints: Checkpoints, stop: StopWhenTold, together: Together) -> None:
        self._checkpoints = checkpoints
        self._stop = stop
        self._together = together

    def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
        """The last one before a stop must arrive; others may fail for now."""
        self._together.wait()  # each process puts the state of its random numbers into the folder
        if not self._together.leads:
            return
        folder = Path(args.output_dir)
        checkpoint = folder / f"checkpoint-{state.global_step}"
        for name in (BEST, NOTES):
            if (folder / name).exists():
                shutil.copyfile(folder / name, checkpoint / name)
        if self._stop.stopped:
            self._checkpoints.save(checkpoint, state.global_step)
        else:
            self._checkpoints.save_if_possible(checkpoint, state.global_step)


class StopEarly(TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """Keeps the adapter with the least validation loss; ends training when it has not got better for a while."""

    def __init__(self, attempt: Attempt, patience: int, together: Together) -> None:
        self._attempt = attempt
        self._together = together
        self._patience = patience
        self.stopped = False

    def on_evaluate(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Judged on the trainer's log, which a checkpoint holds."""
        if self._together.leads and best_step(state.log_history) == state.global_step:
            save_file(adapter.weights(model), Path(args.output_dir) / BEST)
        if patience_is_over(state.log_history, self._patience):
            self._attempt.say(
                f"the validation loss has not fallen for {self._patience} evaluations: stopping at step {state.global_step}"
            )
            self.stopped = control.should_training_stop = True
