"""Draw pictures with a running service and write them to a folder, as `LABEL-SEED.png`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import cast

import httpx
from tqdm import tqdm

from service.api.schemas import ImageBody, JobBody, SliceBody
from service.client.client import Client, Request
from service.client.errors import AwayError, ClientError, ForeignError, ProblemError
from service.contract.statuses import Status

URL = "http://127.0.0.1:8000"
CONTROLS = ("label", "style", "hue", "tile")
SAID = ("model", "seed", "temperature", "guidance", "candidates")


class Exit(IntEnum):
    """How the command ends."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    AWAY = 3
    BUSY = 4
    KEY = 5
    INTERRUPTED = 130


EXITS = {401: Exit.KEY, 403: Exit.KEY, 422: Exit.REFUSED, 429: Exit.BUSY, 503: Exit.BUSY}
"""By the status of a refusal; any other is FAILED."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says."""

    request: Request
    scale: int
    out: Path
    url: str
    key: str | None
    patience_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the paths of the pictures to stdout, everything else to stderr; returns an `Exit`."""
    options = parse(arguments)
    try:
        with Client(options.url, options.key, patience_seconds=options.patience_seconds) as client:
            return run(client, options)
    except AwayError as error:
        say(f"No server answers at {options.url} ({error}). `make serve` starts one; --url says where another is.")
        return Exit.AWAY
    except ProblemError as error:
        say(*explained(error))
        return EXITS.get(error.status, Exit.FAILED)
    except ForeignError as error:
        say(f"{options.url}: {error}")
        return Exit.FAILED
    except OSError as error:
        say(f"{options.out}: {error.strerror}")
        return Exit.FAILED
    except KeyboardInterrupt:
        say("Interrupted; the job is canceled.")
        return Exit.INTERRUPTED


def parse(arguments: Sequence[str] | None) -> Options:
    """The command line. Exits with REFUSED, and says why, if it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m service.client",
        description=__doc__,
        epilog="Exit status: 0 done, 1 failed, 2 refused, 3 no server, 4 server busy, 5 key refused, 130 interrupted.",
    )
    parser.add_argument("--model", help="a model of GET /models; else the server's default")
    for control in CONTROLS:
        parser.add_argument(f"--{control}", help="absent: any; a wrong one prints what there is")
    parser.add_argument("--count", type=int, default=1, help="pictures, at most 16")
    parser.add_argument("--seed", type=int, help="picture i has seed + i; absent: drawn by the server")
    parser.add_argument(
        "--temperature", type=temperature, help="0.8, or base=1,size=0.7,depth=0.8; absent: the model's default"
    )
    parser.add_argument(
        "--guidance", type=float, help="how closely label and style are followed, 1 to 5; absent: the default"
    )
    parser.add_argument("--candidates", type=int, help="beginnings to choose from, 1 to 8; absent: the default")
    parser.add_argument("--scale", type=int, default=1, choices=range(1, 9), help="pixels per pixel")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the pictures")
    parser.add_argument("--url", type=server, default=URL, help=f"the server; else {URL}")
    parser.add_argument("--key", default=os.environ.get("SPN_KEY"), help="API key; else SPN_KEY of the environment")
    parser.add_argument(
        "--patience", type=float, default=10, help="seconds to try again while the server is away or busy"
    )
    return options_of(parser.parse_args(arguments))


def options_of(parsed: argparse.Namespace) -> Options:
    """Only what was said goes into the request."""
    controls = {name: value for name in CONTROLS if (value := getattr(parsed, name)) is not None}
    request = Request(num_images=parsed.count, controls=controls)
    said = {name: value for name in SAID if (value := getattr(parsed, name)) is not None}
    request.update(cast("Request", said))
    return Options(
        request=request,
        scale=parsed.scale,
        out=parsed.out,
        url=parsed.url,
        key=parsed.key,
        patience_seconds=parsed.patience,
    )


def temperature(text: str) -> float | dict[str, float]:
    """`text` as a temperature: one number, or NAME=NUMBER for some networks."""
    try:
        return float(text)
    except ValueError:
        pairs = [part.split("=") for part in text.split(",")]
        with suppress(ValueError):
            return {name: float(value) for name, value in pairs}
    raise argparse.ArgumentTypeError(f"expected a number or base=1,size=0.7,depth=0.8, got {text!r}")


def server(text: str) -> str:
    """`text`, if it is the address of a server."""
    with suppress(httpx.InvalidURL):
        url = httpx.URL(text)
        if url.scheme in {"http", "https"} and url.host:
            return text
    raise argparse.ArgumentTypeError(f"expected something like {URL}, got {text!r}")


def run(client: Client, options: Options) -> Exit:
    """From the request to the files; an interrupt cancels the job. Raises ClientError, OSError."""
    options.out.mkdir(parents=True, exist_ok=True)
    job = client.generate(**options.request)
    try:
        job = followed(client, job)
    except KeyboardInterrupt:
        with suppress(ClientError):
            client.cancel(job)
        raise
    if job.status is not Status.SUCCEEDED:
        say(f"The job {job.status}" + (f": {job.error.title}: {job.error.detail}" if job.error else "."))
        return Exit.FAILED
    for image in job.images:
        print(written(client, job, image, options))
    return Exit.DONE


def followed(client: Client, job: JobBody) -> JobBody:
    """The ended job; until then a bar of slices, as `progress` counts them: all candidates of a base slice."""
    further = {image.index: image.candidates - 1 for image in job.images}
    done = {image.index: image.slices_done + further[image.index] * bool(image.slices_done) for image in job.images}
    with tqdm(total=job.progress.slices_total, unit="slice", disable=None) as bar:

        def advance(drawn: SliceBody) -> None:
            done[drawn.index] = drawn.slices_done + further[drawn.index]
            bar.set_description(drawn.stage, refresh=False)
            bar.update(sum(done.values()) - bar.n)

        return client.wait(job, advance)


def written(client: Client, job: JobBody, image: ImageBody, options: Options) -> Path:
    """The path of one picture, now a file."""
    path = options.out / f"{image.controls.get('label', 'any')}-{image.seed}.png"
    path.write_bytes(client.image(job, image.index, scale=options.scale))
    return path


def explained(error: ProblemError) -> list[str]:
    """A refusal, a line for each field at fault."""
    if error.errors:
        return [f"{each['field']}: {each['message']}" for each in error.errors]
    if EXITS.get(error.status) is Exit.KEY:
        return [f"{error}", "Give a key with --key or SPN_KEY."]
    return [str(error)]


def say(*lines: str) -> None:
    """Lines for the person, not for the next command of a pipe."""
    print(*lines, sep="\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
