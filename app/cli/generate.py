"""`generate`: one prompt in, PNG files out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.common import INTERRUPTED, JsonOption, KeyOption, UrlOption, connect, shown
from app.cli.pictures import OutOption, OverwriteOption, check_free, planned_files, saved_files, tell_files, write_files
from app.cli.progress import JobProgress
from app.cli.starts import CONTROL_FORM, control_fields, start_fields
from app.client import ImageServiceClient
from app.core.errors import CallerError, ServiceError
from app.core.schema import MAX_PRIORITY, Job, JobState


def generate(
    prompt: Annotated[str, typer.Argument(help="What the picture shows; - reads it from standard input.")],
    negative_prompt: Annotated[str, typer.Option("--negative-prompt", help="What it must not show.")] = "",
    styles: Annotated[
        list[str] | None, typer.Option("--style", "-s", help="Style to add to both prompts; may be said again.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Catalog key; see `models list`.")] = None,
    num_inference_steps: Annotated[
        int | None, typer.Option("--num-inference-steps", "--steps", help="Denoising steps.")
    ] = None,
    guidance_scale: Annotated[
        float | None, typer.Option("--guidance-scale", "--cfg", help="How closely to follow the prompt.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    height: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    seed: Annotated[int, typer.Option(help="-1 = random; image i has seed + i.")] = -1,
    subseed: Annotated[
        int | None, typer.Option(help="With --subseed-strength: the other seed; image i has subseed + i.")
    ] = None,
    subseed_strength: Annotated[
        float | None, typer.Option(help="Variations of the seed: 0 none, near 0 alike, 1 as far as another seed.")
    ] = None,
    num_images: Annotated[int, typer.Option("--num-images", "-n", help="Images of this job.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Sampler, by its A1111 or diffusers name.")] = None,
    clip_skip: Annotated[int | None, typer.Option(help="Last layers of the CLIP text encoders to leave out.")] = None,
    vae: Annotated[str | None, typer.Option(help="A VAE of models/vae in the place of the model's own.")] = None,
    start: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Picture to start from: PNG, JPEG or WebP. Several: the first is edited."),
    ] = None,
    edit: Annotated[
        bool,
        typer.Option("--edit", help="With --from: change it as the prompt says, by a model that edits."),
    ] = False,
    mask: Annotated[
        Path | None, typer.Option(help="With --from: picture that is white where it is to be made anew.")
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(help="With --from or --enable-hr: how far to leave that picture; 0 gives it back."),
    ] = None,
    mask_blur: Annotated[float | None, typer.Option(help="With --mask: soften its edge by so many pixels.")] = None,
    inpaint_full_res: Annotated[
        bool | None,
        typer.Option(
            "--inpaint-full-res/--inpaint-whole",
            help="With --mask: draw the masked part alone, at --width and --height; the picture keeps its own size.",
        ),
    ] = None,
    inpaint_full_res_padding: Annotated[
        int | None, typer.Option(help="With --inpaint-full-res: pixels around the part that are drawn with it.")
    ] = None,
    inpainting_fill: Annotated[
        int | None,
        typer.Option(help="With --mask: begin with 0 the colours around it, 1 what is there, 2 noise, 3 nothing."),
    ] = None,
    extend: Annotated[
        str | None, typer.Option(help="With --from: pixels to draw beyond its sides, like left=64,right=64, or 16:9.")
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option(help=f"Hold it by a picture: {CONTROL_FORM}. May be given several times.", metavar="UNIT"),
    ] = None,
    priority: Annotated[
        int, typer.Option(min=-MAX_PRIORITY, max=MAX_PRIORITY, help="Higher is sooner; above 0 needs an admin's key.")
    ] = 0,
    enable_hr: Annotated[
        bool, typer.Option("--enable-hr", help="Hires fix: enlarge the picture and draw it again (--strength).")
    ] = False,
    hr_scale: Annotated[float | None, typer.Option(help="With --enable-hr: how many times as large, 1 to 4.")] = None,
    hr_upscaler: Annotated[str | None, typer.Option(help="With --enable-hr: Lanczos, Latent or a model.")] = None,
    hr_second_pass_steps: Annotated[
        int | None, typer.Option(help="With --enable-hr: steps of the second pass; 0 = as many as the first.")
    ] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Make a picture and print where its file is. Ctrl-C cancels the job.

    Without --out the file stays where the service saved it (a service on another machine: it is copied into this
    folder). What is not given is as the model's catalog entry says.
    """
    values = {
        "prompt": _prompt(prompt),
        "negative_prompt": negative_prompt,
        "styles": styles or None,
        "model": model,
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
        "width": width,
        "height": height,
        "seed": seed,
        "subseed": subseed,
        "subseed_strength": subseed_strength,
        "num_images": num_images,
        "scheduler": scheduler,
        "clip_skip": clip_skip,
        "vae": vae,
        "mask_blur": mask_blur,
        "inpaint_full_res": inpaint_full_res,
        "inpaint_full_res_padding": inpaint_full_res_padding,
        "inpainting_fill": inpainting_fill,
        "priority": priority or None,
        "enable_hr": enable_hr or None,
        "hr_scale": hr_scale,
        "hr_upscaler": hr_upscaler,
        "hr_second_pass_steps": hr_second_pass_steps,
        "strength": strength if enable_hr else None,
    }
    request = {name: value for name, value in values.items() if value is not None}
    if out is not None and not overwrite:
        check_free(planned_files(out, num_images))
    with connect(url, key) as client:
        request |= start_fields(client, start or [], mask, None if enable_hr else strength, extend, edit=edit)
        request |= control_fields(client, control or [])
        job = made(client, request, quiet=as_json)
        files = saved_files(client, job) if out is None else write_files(client, job, out)
    tell_files(job, files, as_json)


def _prompt(given: str) -> str:
    """The words of the prompt. Raises BadParameter if there are none."""
    text = typer.get_text_stream("stdin").read() if given == "-" else given
    if not text.strip():
        raise typer.BadParameter("it is empty; say what the picture shows.", param_hint="prompt")
    return text.strip() if given == "-" else text


def made(client: ImageServiceClient, request: dict[str, Any], *, quiet: bool) -> Job:
    """The succeeded job. Raises what became of it otherwise."""
    return finished(client, client.submit(request), quiet=quiet)


def finished(client: ImageServiceClient, job: Job, *, quiet: bool) -> Job:
    """The job once it has succeeded. Raises what became of it otherwise."""
    try:
        with JobProgress(job, quiet=quiet) as progress:
            job = client.wait(job.id, progress.show)
    except KeyboardInterrupt:
        _cancel(client, job.id)
        raise typer.Exit(INTERRUPTED) from None
    if job.state is JobState.FAILED and job.error is not None:
        raise ServiceError(job.error.message, code=job.error.code, hint=job.error.hint)
    if job.state is not JobState.SUCCEEDED:
        raise CallerError(f"Job {job.id} was {job.state} by somebody else.")
    return job


def _cancel(client: ImageServiceClient, job_id: str) -> None:
    typer.echo("Cancelling …", err=True)
    job = client.cancel(job_id)
    if job.state is JobState.SUCCEEDED:
        typer.echo(f"It was already finished: {', '.join(image.url for image in job.images)}", err=True)
    else:
        typer.echo(f"Job {shown(job_id)} is cancelled.", err=True)
