"""What every training needs around its steps: batches, progress, log, saved states, stop signals, outputs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from simformer.atomic import atomic_write_text
from simformer.machine.stop_signal import Stop, StopFlag, stop_flag, stopped_after
from simformer.text.json_text import json_text
from simformer.training.checkpoint import Stateful, load_state, remove_state, save_state
from simformer.training.job import Job
from simformer.training.log import COLUMNS, CsvLog, TensorBoardLog
from simformer.training.processes import ALONE, Processes
from simformer.training.record import INPUTS, RESUMED_AT, STATE_RECORD, file_hash

Batch = TypeVar("Batch")
LOG_FILE = "log.csv"
"""Name of the growing log in the state directory."""


class Loop:
    """The steps of one training, from where its saved state ends.

    Args:
        title: what is trained, for the progress bar.
        steps: T.
        job: its state, outputs, labels, initial weights and runtime.
        parts: all that changes in a step, by name; they are given the saved state.
        settings: hash of the settings.
        inputs: hashes of what else decides the result, beside labels and initial weights, by name.
        columns: of the log.
        collect: brings the parts up to date before they are saved.
        processes: those that train together; all of them call the same methods in the same order.
        told: what else the records of the state and of the training tell of what they belong to.

    Attributes:
        first: number of steps that were done before.
        last: number of steps after which this process ends.
    """

    def __init__(
        self,
        title: str,
        steps: int,
        job: Job,
        parts: dict[str, Stateful],
        settings: str,
        inputs: Mapping[str, str] | None = None,
        columns: tuple[str, ...] = COLUMNS,
        collect: Callable[[], None] = lambda: None,
        processes: Processes = ALONE,
        told: Mapping[str, Any] | None = None,
    ) -> None:
        self.title, self.steps, self.job, self.parts = title, steps, job, parts
        self.collect, self.processes = collect, processes
        weights = file_hash(job.weights)
        self.identity = {"settings": settings, "labels": job.labels.hash, "initial weights": weights, **(inputs or {})}
        self.belongs = {"hash": settings, **(told or {})}
        self.first = self._saved = load_state(job.state, parts, self.identity)
        self.last = min(steps, job.runtime.stop_after or steps)
        self._logs: list[CsvLog | TensorBoardLog] = []
        if processes.rank == 0:
            self._logs.append(CsvLog(job.state / LOG_FILE, self.first, columns))
            atomic_write_text(job.state / RESUMED_AT, f"{self.first}\n")
            if job.runtime.tensorboard:
                self._logs.append(TensorBoardLog(job.runtime.tensorboard, self.first))

    @contextmanager
    def over(self, batches: Generator[Batch, None, None]) -> Iterator[Iterator[tuple[int, Batch]]]:
        """Give a block (step, its batch) for every step that is to be done; signals wait for the end of a step.

        Args:
            batches: of the steps from `first` to `last`.
        Raises: in the block, what has failed, or Interrupted, after the state of all finished steps has been saved.
        """
        with stop_flag() as flag, closing(batches), closing(self._over(batches, flag)) as steps:
            self._flag = flag
            yield steps

    def _over(self, batches: Iterator[Batch], flag: StopFlag) -> Generator[tuple[int, Batch], None, None]:
        silent = self.processes.rank > 0
        numbers = range(self.first, self.last)
        bar = tqdm(numbers, self.title, initial=self.first, total=self.steps, mininterval=5, disable=silent)
        with bar as self._progress:  # ends its line before a failure is told
            for step in self._progress:
                yield step, self._next(batches, flag, step)
        for log in self._logs:
            log.close()

    def _next(self, batches: Iterator[Batch], flag: StopFlag, step: int) -> Batch:
        """Wait for the batch of a step; what ends the training meanwhile, or came in the step before, ends it here."""
        batch: Batch | None = None
        failure: Exception | None = None
        try:
            with flag.while_waiting():
                batch = next(batches)
        except Stop:
            pass
        except Exception as error:
            failure = error
        failure, number = self.processes.share_end(failure, flag.number)
        try:
            if failure is not None or number:
                self.save(step)
                raise failure or stopped_after(step, number)
        finally:
            del failure  # its traceback leads back to this frame, and would keep all that the block has used
        assert batch is not None, "an error that came instead has been raised"
        return batch

    def log_due(self, step: int) -> bool:
        """Tell whether a row of the log is due after a step."""
        return (step + 1) % self.job.runtime.log_every == 0 or step + 1 == self.steps

    def log(self, step: int, row: dict[str, float], loss: str) -> None:
        """Write a row after a step; `loss` is what the progress bar tells of it."""
        with self.processes.together():
            for log in self._logs:
                log.write({"step": step + 1, **row})
        self._progress.set_postfix_str(f"loss {loss}")

    def save_due(self, step: int) -> bool:
        """Tell whether the state is to be saved after a step."""
        return (step + 1) % self.job.runtime.checkpoint_every == 0 or step + 1 == self.last

    def save(self, done: int) -> None:
        """Save the state after so many steps, unless it has been."""
        if done == self._saved:
            return
        self.collect()
        with self.processes.together():
            if self.processes.rank == 0:
                save_state(self.job.state, self.parts, done, self.identity)
                record = {**self.belongs, INPUTS: self.identity}
                atomic_write_text(self.job.state / STATE_RECORD, json_text(record) + "\n")
        self._saved = done

    def complete(self) -> bool:
        """Tell whether all steps are done; raises Interrupted if a signal has come since the last batch."""
        if self.last < self.steps:
            return False
        _, number = self.processes.share_end(None, self._flag.number)
        if number:
            raise stopped_after(self.last, number)
        return True

    def finish(self, facts: dict[str, Any], write_weights: Callable[[Path], None]) -> None:
        """Write log, facts and weights, and remove the state.

        Args:
            facts: what the record of the training tells, beside the hash of its settings and its steps.
            write_weights: writes them to a path, atomically.
        """
        outputs = self.job.outputs
        with self.processes.together():
            if self.processes.rank == 0:
                atomic_write_text(outputs.log, (self.job.state / LOG_FILE).read_text())
                own = {**self.belongs, "steps": self.steps, "resumed_at": self.first}
                atomic_write_text(outputs.facts, json_text(own | facts, indent=2) + "\n")
                write_weights(outputs.model)
                remove_state(self.job.state, LOG_FILE, STATE_RECORD, RESUMED_AT)
