"""Progress in the terminal: of a job (place in line, loading, step of steps), and of a download."""

import time
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from app.cli.common import shown_seconds, shown_size
from app.client import Event
from app.core.grids import Grid
from app.core.models import Download, ModelInfo
from app.core.schema import Job

LINE_EVERY_S = 60.0


class _StepsColumn(ProgressColumn):
    """`4/10 · 2.1 steps/s · 2.9 s left`, as far as it is known."""

    def render(self, task: Task) -> Text:
        if not task.total:
            return Text("")
        words = [f"{task.completed:.0f}/{task.total:.0f}"]
        if task.speed:
            words.append(f"{task.speed:.1f} steps/s")
        if task.time_remaining is not None and not task.finished:
            words.append(f"{shown_seconds(task.time_remaining)} left")
        return Text(" · ".join(words))


class JobProgress:
    """Shows one job on standard error while it is open. Draws nothing where no person looks, or if `quiet`."""

    def __init__(self, job: Job, *, quiet: bool = False, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            _StepsColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task(_waiting(job.model_dump()), total=None)
        self._phase = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, event: Event) -> None:
        """Draw one event."""
        if event.kind == "queued":
            self._begin("queued", _waiting(event.data), None)
        elif event.kind in ("loading", "step"):
            phase = "loading" if event.kind == "loading" else str(event.data.get("phase") or "denoising")
            of = event.data.get("of") or None
            if phase != self._phase:
                self._begin(phase, {"loading": "loading the model", "denoising": "drawing"}.get(phase, phase), of)
            self._bar.update(self._task, completed=event.data.get("step") or 0, total=of)
        elif event.ends_job:
            self._bar.update(self._task, description=event.kind)

    def _begin(self, phase: str, description: str, total: float | None) -> None:
        # A new phase starts a new clock, or the speed of denoising would have the loading time in it.
        self._phase = phase
        self._bar.reset(self._task, description=description, total=total)


class DownloadProgress:
    """Shows one download on standard error while it is open: a bar where a person looks, else a line a minute."""

    def __init__(self, key: str, *, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._key = key
        self._said = float("-inf")
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[words]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(key, total=None, words="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, model: ModelInfo) -> None:
        """Draw how a model's download is."""
        download = model.download or Download(state="", done=0, of=0)
        words = download_words(download)
        self._bar.update(self._task, completed=download.done, total=download.of or None, words=words)
        if not self._console.is_terminal and time.monotonic() - self._said >= LINE_EVERY_S:
            self._said = time.monotonic()
            self._console.print(f"{self._key}: {words}", highlight=False)


def download_words(download: Download) -> str:
    """`1.2 GiB of 6.5 GiB · 40.1 MiB/s · 2 min 10 s left`, as far as it is known."""
    if download.state == "waiting" or not download.of:
        return "waiting" if download.state == "waiting" else "asking the hub"
    words = [f"{shown_size(download.done)} of {shown_size(download.of)}"]
    if download.bytes_per_s:
        words.append(f"{shown_size(download.bytes_per_s)}/s")
    if download.eta_s is not None:
        words.append(f"{shown_seconds(download.eta_s)} left")
    return " · ".join(words)


def _waiting(job: dict[str, Any]) -> str:
    words = ["waiting"]
    if job.get("position"):
        words.append(f"{job['position']} before it")
    if job.get("eta_s"):
        words.append(f"about {shown_seconds(job['eta_s'])}")
    return ", ".join(words)


class GridProgress:
    """Shows on standard error how many pictures of a grid are done, where a person looks and not if `quiet`."""

    def __init__(self, grid: Grid, *, quiet: bool = False, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("pictures"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=grid.of, completed=grid.done)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def one_more(self) -> None:
        """One more job is over."""
        self._bar.advance(self._task)
