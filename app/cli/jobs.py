"""`jobs`: what waits, what runs, what became of it."""

from typing import Annotated, Any

import typer

from app.cli.common import (
    JsonOption,
    KeyOption,
    UrlOption,
    connect,
    print_json,
    print_table,
    shown,
    shown_seconds,
)
from app.cli.examples import examples
from app.core.schema import Job, JobState


def build() -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(help="List, show and cancel jobs; pause the queue.", no_args_is_help=True)
    app.command("list", epilog=examples("jobs list"))(list_jobs)
    app.command("show", epilog=examples("jobs show"))(show_job)
    app.command("cancel", epilog=examples("jobs cancel"))(cancel_jobs)
    app.command("pause", epilog=examples("jobs pause"))(pause_queue)
    app.command("resume", epilog=examples("jobs resume"))(resume_queue)
    return app


def list_jobs(
    state: Annotated[JobState | None, typer.Option(help="Only these.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 20,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """List jobs, newest first."""
    with connect(url, key) as client:
        found, more = client.jobs(state.value if state else None, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = ((job.id, job.state.value, _how_far(job), job.request.model, job.request.prompt) for job in found)
    print_table(("id", "state", "how far", "model", "prompt"), rows)
    if more:
        typer.echo(f"There are more than these {limit}; see --limit.", err=True)


def show_job(
    id: Annotated[str, typer.Argument(help="The job's id.")],
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Show all about one job."""
    with connect(url, key) as client:
        job = client.job(id)
    if as_json:
        print_json(job)
        return
    rows: list[tuple[str, Any]] = [("state", f"{job.state.value} {_how_far(job)}".rstrip(" –")), ("from", job.origin)]
    rows += [(name, value) for name, value in job.request if value not in (None, "", {})]
    rows += [("created", shown(job.created_at)), ("seconds", shown_seconds(job.seconds))]
    rows += [(f"image {image.index}", f"{client.url}{image.url}") for image in job.images]
    if job.waiting:
        rows += [("waits", job.waiting.message), ("hint", job.waiting.hint)]
    if job.error:
        rows += [("error", job.error.message), ("hint", job.error.hint)]
    print_table(("job", job.id), rows, cut=0)


def cancel_jobs(
    ids: Annotated[list[str], typer.Argument(help="The jobs' ids.")], url: UrlOption = None, key: KeyOption = None
) -> None:
    """Cancel jobs. A finished job stays as it is."""
    with connect(url, key) as client:
        for id in ids:
            job = client.cancel(id)
            typer.echo(f"{job.id}: {'is being cancelled' if not job.state.finished else job.state.value}")


def pause_queue(url: UrlOption = None, key: KeyOption = None) -> None:
    """Start no further job; what runs goes on, and new ones wait."""
    with connect(url, key) as client:
        client.set_paused(True)
    typer.echo("The queue is paused. Go on with: atelier jobs resume")


def resume_queue(url: UrlOption = None, key: KeyOption = None) -> None:
    """Start jobs again after a pause."""
    with connect(url, key) as client:
        client.set_paused(False)
    typer.echo("The queue goes on.")


def _how_far(job: Job) -> str:
    if job.state is JobState.QUEUED:
        why = f", waits: {job.waiting.code}" if job.waiting else ""
        return f"{job.position or 0} before it" + (f", {shown_seconds(job.eta_s)}" if job.eta_s else "") + why
    if job.progress and job.state is JobState.RUNNING:
        return f"{job.progress.phase} {job.progress.step}/{job.progress.of}"
    return shown_seconds(job.seconds)
