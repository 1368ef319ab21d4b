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
from app.core.schema import MAX_PRIORITY, Job, JobState, Move

EverybodyOption = Annotated[bool, typer.Option("--everybody", help="Of all callers; needs an admin's key.")]


def build() -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(help="List, show, move, cancel and clear jobs; pause the queue.", no_args_is_help=True)
    app.command("list", epilog=examples("jobs list"))(list_jobs)
    app.command("show", epilog=examples("jobs show"))(show_job)
    app.command("cancel", epilog=examples("jobs cancel"))(cancel_jobs)
    app.command("move", epilog=examples("jobs move"))(move_job)
    app.command("priority", epilog=examples("jobs priority"))(set_priority)
    app.command("clear", epilog=examples("jobs clear"))(clear_jobs)
    app.command("pause", epilog=examples("jobs pause"))(pause_queue)
    app.command("resume", epilog=examples("jobs resume"))(resume_queue)
    return app


def list_jobs(
    state: Annotated[JobState | None, typer.Option(help="Only these.")] = None,
    search: Annotated[str | None, typer.Option(help="Only with these words in the prompt.")] = None,
    line: Annotated[bool, typer.Option("--line", help="What runs, then what is next, in that order.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 20,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """List jobs, newest first."""
    if line and state:
        raise typer.BadParameter("the line has all that run and wait; leave out --state.", param_hint="--line")
    with connect(url, key) as client:
        found, more = client.jobs(state.value if state else None, limit=limit, q=search, line=line)
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
    if job.crashes:
        rows += [("tries", f"{min(job.crashes + 1, job.max_crashes)} of {job.max_crashes}")]
    rows += [("created", shown(job.created_at)), ("seconds", shown_seconds(job.seconds))]
    rows += [(f"image {image.index}", f"{client.url}{image.url}") for image in job.images]
    if job.waiting:
        rows += [("waits", job.waiting.message), ("hint", job.waiting.hint)]
    if job.error:
        rows += [("error", job.error.message), ("hint", job.error.hint)]
    print_table(("job", job.id), rows, cut=0)


def cancel_jobs(
    ids: Annotated[list[str] | None, typer.Argument(help="The jobs' ids.")] = None,
    all_jobs: Annotated[bool, typer.Option("--all", help="All of yours that wait or run.")] = False,
    everybody: EverybodyOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --all: do not ask.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Cancel jobs. A finished job stays as it is."""
    if bool(ids) == all_jobs or (everybody and not all_jobs):
        raise typer.BadParameter("give either ids or --all; --everybody goes with --all.", param_hint="ids")
    with connect(url, key) as client:
        if all_jobs:
            if not yes:
                whose = "everybody's jobs" if everybody else "your jobs"
                typer.confirm(f"Cancel all of {whose} that wait or run?", abort=True)
            typer.echo(f"{client.cancel_all(everybody=everybody)} job(s) cancelled")
        for id in ids or ():
            job = client.cancel(id)
            typer.echo(f"{job.id}: {'is being cancelled' if not job.state.finished else job.state.value}")


def move_job(
    id: Annotated[str, typer.Argument(help="The job's id.")],
    to: Annotated[Move, typer.Argument(help="Where to; up and down are one place.")],
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Put a waiting job before or behind others of yours. Nobody else's turn changes."""
    with connect(url, key) as client:
        _tell_place(client.move(id, to))


def set_priority(
    id: Annotated[str, typer.Argument(help="The job's id.")],
    priority: Annotated[int, typer.Argument(min=-MAX_PRIORITY, max=MAX_PRIORITY, help="0 is usual, higher is sooner.")],
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Put a waiting job before all of lower priority, whoever's they are. Above 0 needs an admin's key."""
    with connect(url, key) as client:
        _tell_place(client.set_priority(id, priority))


def clear_jobs(everybody: EverybodyOption = False, url: UrlOption = None, key: KeyOption = None) -> None:
    """Leave what has ended out of the list. Its pictures stay."""
    with connect(url, key) as client:
        typer.echo(f"{client.clear_jobs(everybody=everybody)} job(s) cleared from the list")


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


def _tell_place(job: Job) -> None:
    typer.echo(f"{job.id}: {_how_far(job)}")


def _how_far(job: Job) -> str:
    if job.state is JobState.QUEUED:
        why = f", waits: {job.waiting.code}" if job.waiting else ""
        return f"{job.position or 0} before it" + (f", {shown_seconds(job.eta_s)}" if job.eta_s else "") + why
    if job.progress and job.state is JobState.RUNNING:
        return f"{job.progress.phase} {job.progress.step}/{job.progress.of}"
    return shown_seconds(job.seconds)
