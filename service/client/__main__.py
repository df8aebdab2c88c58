"""Generate images with a running service and write them to a folder, as `LABEL-SEED.FORMAT`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from math import isfinite
from pathlib import Path
from typing import Final, Literal, cast

import httpx
from tqdm import tqdm

from service.api.schemas import ImageBody, JobBody, SliceEvent
from service.client.client import Client, Export, Request
from service.client.errors import (
    ClientError,
    InvalidProxyError,
    ProblemError,
    ServerUnavailableError,
    UnexpectedResponseError,
)
from service.contract.statuses import Status

URL = "http://127.0.0.1:8000"
CONTROLS = ("label", "style", "hue", "tile")
FIELDS = ("model", "seed", "temperature", "guidance", "candidates", "priority")


EXPORT: Final = ("size", "background", "ground", "glyph")
FileFormat = Literal["png", "webp", "jpeg", "svg"]


class Exit(IntEnum):
    """Exit status of the command."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    UNAVAILABLE = 3
    BUSY = 4
    KEY = 5
    INTERRUPTED = 130


EXITS = {401: Exit.KEY, 403: Exit.KEY, 422: Exit.REFUSED, 429: Exit.BUSY, 503: Exit.BUSY}
"""Exit status by HTTP status; any other is FAILED."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Parsed command line."""

    request: Request
    scale: int
    format: FileFormat
    export: Export
    out: Path
    url: str
    key: str | None
    retry_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the paths of the images to stdout and all else to stderr. Return an `Exit`."""
    options = parse(arguments)
    try:
        with Client(options.url, options.key, retry_seconds=options.retry_seconds) as client:
            return run(client, options)
    except ServerUnavailableError as error:
        report(
            f"No server answers at {options.url} ({error}). Start one with `make serve`, or give its address with --url."
        )
        return Exit.UNAVAILABLE
    except ProblemError as error:
        report(*explanation(error))
        return EXITS.get(error.status, Exit.FAILED)
    except (InvalidProxyError, UnexpectedResponseError) as error:
        report(f"{options.url}: {error}")
        return Exit.REFUSED if isinstance(error, InvalidProxyError) else Exit.FAILED
    except OSError as error:
        report(f"{options.out}: {error.strerror}")
        return Exit.FAILED
    except KeyboardInterrupt:
        report("Interrupted; the job is canceled.")
        return Exit.INTERRUPTED


def parse(arguments: Sequence[str] | None) -> Options:
    """Parse the command line. Exit with REFUSED and the reason if it is invalid."""
    parser = argparse.ArgumentParser(
        prog="python -m service.client",
        description=__doc__,
        epilog="Exit status: 0 done, 1 failed, 2 refused, 3 no server, 4 server busy, 5 key refused, 130 interrupted.",
    )
    parser.add_argument("--model", help="a model of GET /models; default: the server's")
    for control in CONTROLS:
        parser.add_argument(f"--{control}", help="default: any; an unknown value prints the known ones")
    parser.add_argument("--count", type=int, default=1, help="number of images, at most 16")
    parser.add_argument("--seed", type=int, help="image i has seed + i; default: chosen by the server")
    parser.add_argument(
        "--temperature", type=temperature, help="0.8, or base=1,size=0.7,depth=0.8; default: the model's"
    )
    parser.add_argument(
        "--guidance", type=number, help="how closely label and style are followed, 1 to 5; default: the model's"
    )
    parser.add_argument("--candidates", type=int, help="first slices to choose from, 1 to 8; default: the model's")
    parser.add_argument(
        "--priority", choices=("interactive", "batch"), help="batch: after your interactive jobs; default: interactive"
    )
    parser.add_argument("--scale", type=int, default=1, choices=range(1, 9), help="pixels per pixel")
    add_export(parser)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the images")
    parser.add_argument("--url", type=server, default=URL, help=f"address of the server; default: {URL}")
    parser.add_argument(
        "--key", type=api_key, default=os.environ.get("SPN_KEY"), help="API key; default: SPN_KEY of the environment"
    )
    parser.add_argument(
        "--retry-seconds", type=number, default=10, help="seconds to retry while the server is unavailable or busy"
    )
    return options_of(parser.parse_args(arguments))


def add_export(parser: argparse.ArgumentParser) -> None:
    """Add the options of exports."""
    parser.add_argument("--format", default="png", choices=("png", "webp", "jpeg", "svg"), help="default: png")
    parser.add_argument("--size", type=int, help="pixels along the image, 16 to 1024, drawn smoothly")
    parser.add_argument("--background", help="transparent, white or #rrggbb; default: white")
    parser.add_argument(
        "--transparent", dest="background", action="store_const", const="transparent", help="--background transparent"
    )
    parser.add_argument("--ground", help="colour of the ground: #rrggbb, or two with a comma for a gradient")
    parser.add_argument("--glyph", help="colour of the glyph, likewise")
    parser.add_argument("--flat", action="store_true", help="no gradients")


def options_of(parsed: argparse.Namespace) -> Options:
    """Return the options; only fields of the command line go into the request."""
    controls = {name: value for name in CONTROLS if (value := getattr(parsed, name)) is not None}
    request = Request(num_images=parsed.count, controls=controls)
    fields = {name: value for name in FIELDS if (value := getattr(parsed, name)) is not None}
    request.update(cast("Request", fields))
    return Options(
        request=request,
        scale=parsed.scale,
        format=parsed.format,
        export=export_of(parsed),
        out=parsed.out,
        url=parsed.url,
        key=parsed.key,
        retry_seconds=parsed.retry_seconds,
    )


def export_of(parsed: argparse.Namespace) -> Export:
    """Return the options of an export that were given; none of them for plain pixels."""
    export = {name: value for name in EXPORT if (value := getattr(parsed, name)) is not None}
    return cast("Export", export | ({"style": "flat"} if parsed.flat else {}))


def temperature(text: str) -> float | dict[str, float]:
    """Parse a temperature: one number, or NAME=NUMBER for some networks."""
    try:
        return number(text)
    except argparse.ArgumentTypeError:
        pairs = [part.split("=") for part in text.split(",")]
        with suppress(ValueError, argparse.ArgumentTypeError):
            return {name: number(value) for name, value in pairs}
    raise argparse.ArgumentTypeError(f"expected a number or base=1,size=0.7,depth=0.8, got {text!r}")


def number(text: str) -> float:
    """Parse a finite number: JSON has no other."""
    with suppress(ValueError):
        if isfinite(value := float(text)):
            return value
    raise argparse.ArgumentTypeError(f"expected a number, got {text!r}")


def api_key(text: str) -> str:
    """Return `text` if it can be a key; the message does not repeat it."""
    if text.isascii() and text.isprintable():
        return text
    raise argparse.ArgumentTypeError("expected an API key of ASCII characters, from --key or SPN_KEY")


def server(text: str) -> str:
    """Return `text` if it is the address of a server."""
    with suppress(httpx.InvalidURL):
        url = httpx.URL(text)
        if url.scheme in {"http", "https"} and url.host:
            return text
    raise argparse.ArgumentTypeError(f"expected something like {URL}, got {text!r}")


def run(client: Client, options: Options) -> Exit:
    """Send the request and write the files; an interrupt cancels the job. Raises ClientError, OSError."""
    options.out.mkdir(parents=True, exist_ok=True)
    job = client.generate(**options.request)
    try:
        job = with_progress(client, job)
    except KeyboardInterrupt:
        with suppress(ClientError):
            client.cancel(job)
        raise
    if job.status is not Status.SUCCEEDED:
        report(f"The job {job.status}" + (f": {job.error.title}: {job.error.detail}" if job.error else "."))
        return Exit.FAILED
    refused: dict[str, None] = {}
    for image in job.images:
        try:
            print(write_image(client, job, image, options))
        except ProblemError as error:
            if EXITS.get(error.status) is not Exit.REFUSED:
                raise
            refused |= dict.fromkeys(
                explanation(error)
            )  # an image without a ground has no colour for it; others have one
    report(*refused)
    return Exit.REFUSED if refused else Exit.DONE


def with_progress(client: Client, job: JobBody) -> JobBody:
    """Return the ended job; until then show a bar of slices, counted as `progress` does: with all candidates."""
    extra = {image.index: image.candidates - 1 for image in job.images}
    done = {image.index: image.slices_done + extra[image.index] * bool(image.slices_done) for image in job.images}
    with tqdm(total=job.progress.slices_total, unit="slice", disable=None) as bar:

        def advance(news: SliceEvent) -> None:
            done[news.index] = news.slices_done + extra[news.index]
            bar.set_description(news.stage, refresh=False)
            bar.update(sum(done.values()) - bar.n)

        return client.wait(job, advance)


def write_image(client: Client, job: JobBody, image: ImageBody, options: Options) -> Path:
    """Write one image and return its path."""
    path = options.out / f"{image.controls.get('label', 'any')}-{image.seed}.{options.format}"
    path.write_bytes(client.image(job, image.index, format=options.format, scale=options.scale, **options.export))
    return path


def explanation(error: ProblemError) -> list[str]:
    """Return a line per invalid field, or the refusal."""
    if error.errors:
        return [f"{each['field']}: {each['message']}" for each in error.errors]
    if EXITS.get(error.status) is Exit.KEY:
        return [f"{error}", "Give a key with --key or SPN_KEY."]
    return [str(error)]


def report(*lines: str) -> None:
    """Print lines to stderr, so that a pipe gets paths only."""
    for line in lines:
        print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
