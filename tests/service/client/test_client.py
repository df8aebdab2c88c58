"""The Python client and its command, against the real app, a real Redis and a worker that draws the model `toy`.

Nobody draws the model `slow`: its jobs stay queued.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest
from PIL import Image
from starlette.responses import PlainTextResponse

from service.api.schemas import JobBody, SliceEvent
from service.app import create_app
from service.client import Client, ProblemError, ServerUnavailableError
from service.client.__main__ import Exit, main
from service.contract.statuses import Status
from service.settings import ServiceSettings
from tests.harness.drawing import GEOMETRY
from tests.harness.flaky import Busy, CutStreams, LostAnswers, NoStreams
from tests.harness.launcher import eager, working
from tests.harness.serving import running, serving

STEPS = len(GEOMETRY.steps)
NOBODY = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def settings(redis_url: str, models: Path) -> Iterator[ServiceSettings]:
    """Of an API whose default model is drawn."""
    with working(eager(redis_url, models, "toy")):
        yield ServiceSettings(redis_url=redis_url, models=models, model="toy")


@pytest.fixture(scope="module")
def url(settings: ServiceSettings) -> Iterator[str]:
    """The API in good weather."""
    with serving(settings) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    """A caller who does not wait long."""
    with Client(url, retry_seconds=1) as made:
        yield made


def every_slice(num_images: int) -> list[tuple[int, int]]:
    """(picture, slices done), once each."""
    return [(index, done) for index in range(num_images) for done in range(1, STEPS + 1)]


def heard(slices: list[SliceEvent]) -> list[tuple[int, int]]:
    """The same of what a client was told."""
    return [(each.index, each.slices_done) for each in slices]


def size(picture: bytes) -> tuple[int, int]:
    """Of a file that can be decoded."""
    image = Image.open(io.BytesIO(picture))
    image.load()
    return image.size


def jobs_at(url: str) -> int:
    """How many jobs there are, at most 100."""
    return len(httpx.get(f"{url}/jobs", params={"limit": 100}).json()["jobs"])


def fill(client: Client) -> None:
    """One job more than the smallest queue takes."""
    for _ in range(2):
        client.generate(model="slow")


def test_an_image_is_scored(client: Client) -> None:
    """With its controls; the job has the likelihood, its image is the heat map."""
    image = client.image(client.wait(client.generate(label="A", seed=7)))
    job = client.wait(client.score(image, controls={"label": "A"}, metadata={"for": "a test"}))
    assert (job.task, job.controls, job.metadata) == ("score", {"label": "A"}, {"for": "a test"})
    assert job.likelihood
    assert job.likelihood.bits_per_dim == pytest.approx(sum(job.likelihood.stages.values()))
    assert size(client.image(job, scale=2)) == (2 * GEOMETRY.size,) * 2


def test_a_job_is_drawn_and_every_slice_is_heard_of_once(client: Client) -> None:
    """From the request to the picture in any size, format and age."""
    slices: list[SliceEvent] = []
    job = client.generate(controls=[{"label": "A"}, {"hue": "blue"}], num_images=2, seed=7, metadata={"for": "a test"})
    ended = client.wait(job, slices.append)
    assert (ended.status, ended.seed, ended.metadata) == (Status.SUCCEEDED, 7, {"for": "a test"})
    assert sorted(heard(slices)) == every_slice(2)
    assert [size(client.image(ended, 1, scale=scale)) for scale in (1, 4)] == [(8, 8), (32, 32)]
    assert client.image(ended, 0, slices=1, format="webp")[8:12] == b"WEBP"
    assert client.job(ended.id) == client.job(job) == client.wait(ended.id) == ended


def test_a_stream_that_is_cut_after_each_event_loses_and_repeats_nothing(settings: ServiceSettings) -> None:
    """The client goes on after the last event that came whole."""
    app, slices = CutStreams(create_app(settings), most=100), list[SliceEvent]()
    with running(app) as url, Client(url) as client:
        ended = client.wait(client.generate(seed=1), slices.append)
    assert ended.status is Status.SUCCEEDED
    assert heard(slices) == every_slice(1)
    assert app.cuts == STEPS + 2, "one before each event but the first: running, the slices, the end"


def test_without_streams_the_client_polls(settings: ServiceSettings) -> None:
    """A proxy that refuses them costs single slices, not the end; none is heard of twice."""
    slices: list[SliceEvent] = []
    with running(NoStreams(create_app(settings))) as url, Client(url) as client:
        ended = client.wait(client.generate(seed=2), slices.append)
    assert ended.status is Status.SUCCEEDED
    assert heard(slices) == sorted(set(heard(slices)))
    assert heard(slices)[-1] == (0, STEPS)


def test_a_submission_whose_answer_is_lost_makes_one_job(settings: ServiceSettings) -> None:
    """The second try carries the same Idempotency-Key."""
    app = LostAnswers(create_app(settings), times=2)
    with running(app) as url, Client(url) as client:
        before = jobs_at(url)
        job = client.generate(seed=3)
        assert app.left == 0
        assert jobs_at(url) == before + 1
        assert client.wait(job).status is Status.SUCCEEDED


def test_a_busy_server_is_asked_again_when_it_says(settings: ServiceSettings) -> None:
    """Retry-After is waited for, twice here."""
    with running(Busy(create_app(settings), times=2)) as url, Client(url) as client:
        began = time.monotonic()
        assert client.generate(model="slow").status is Status.QUEUED
        assert 2 <= time.monotonic() - began < 10


def test_a_retry_after_beyond_all_patience_is_not_waited_for(redis_url: str, settings: ServiceSettings) -> None:
    """A full queue asks for more than there is: the refusal comes at once and says so."""
    full = ServiceSettings(redis_url=redis_url, models=settings.models, model="toy", queue_bound=1)
    with serving(full) as url, Client(url, retry_seconds=1) as client:
        began = time.monotonic()
        with pytest.raises(ProblemError) as refused:
            fill(client)
        assert time.monotonic() - began < 5
    assert (refused.value.status, refused.value.type) == (503, "urn:spn:queue-full")
    assert refused.value.retry_after_seconds is not None
    assert 1 < refused.value.retry_after_seconds <= 60


def test_a_refusal_carries_the_problem(client: Client) -> None:
    """All members, and the fields at fault; it is not tried again."""
    with pytest.raises(ProblemError) as refused:
        client.generate(label="Q")
    error = refused.value
    assert (error.status, error.type, error.title) == (422, "urn:spn:invalid-request", "Invalid request")
    assert error.errors == [{"field": "controls.label", "message": error.detail.removeprefix("controls.label: ")}]
    assert "icon" in error.detail
    with pytest.raises(ProblemError, match="no job 'none'"):
        client.wait("none")


def test_a_refusal_that_is_no_problem_is_told_by_its_status(settings: ServiceSettings) -> None:
    """A proxy's page in plain text."""
    with (
        running(Busy(create_app(settings), times=1)) as url,
        Client(url, retry_seconds=0) as client,
        pytest.raises(ProblemError, match="Service Unavailable: The server answered 503"),
    ):
        client.models()


def test_nobody_at_home_is_an_error_of_its_own() -> None:
    """After as much patience as was asked for."""
    began = time.monotonic()
    with Client(NOBODY, retry_seconds=1) as client, pytest.raises(ServerUnavailableError, match="refused"):
        client.models()
    assert 0.7 < time.monotonic() - began < 3


def test_a_server_on_this_machine_is_not_reached_through_a_proxy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment has another loopback address than this machine."""
    monkeypatch.setenv("http_proxy", NOBODY)
    with Client(url, retry_seconds=0) as client:
        assert client.models()


def test_a_job_that_waits_can_be_canceled(client: Client) -> None:
    """And whoever waits for it hears so."""
    job = client.generate(model="slow")
    assert client.cancel(job).status is Status.CANCELED
    assert client.wait(job).status is Status.CANCELED


def test_models_say_what_can_be_asked_for(client: Client) -> None:
    """With the values of each control."""
    toy = next(model for model in client.models() if model.name == "toy")
    assert (toy.default, toy.controls["hue"], toy.slices) == (True, ["red", "blue"], STEPS)


def test_the_command_writes_the_pictures_and_prints_their_paths(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file for each seed, pixels as large as asked for."""
    out = tmp_path / "icons"
    wanted = f"--label A --hue blue --tile circle --count 2 --seed 7 --temperature 1 --scale 8 --out {out} --url {url}"
    assert main(wanted.split()) == Exit.DONE
    assert capsys.readouterr().out.split() == [f"{out}/A-7.png", f"{out}/A-8.png"]
    assert [size((out / name).read_bytes()) for name in ("A-7.png", "A-8.png")] == [(64, 64), (64, 64)]


def test_the_command_exports_in_a_format_and_a_size(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The toy's images are traced; their files are whole all the same."""
    common = f"--label A --seed 7 --transparent --flat --out {tmp_path} --url {url}".split()
    assert main([*common, "--format", "svg"]) == main([*common, "--size", "48"]) == Exit.DONE
    assert capsys.readouterr().out.split() == [f"{tmp_path}/A-7.svg", f"{tmp_path}/A-7.png"]
    assert (tmp_path / "A-7.svg").read_text().startswith("<svg ")
    assert size((tmp_path / "A-7.png").read_bytes()) == (48, 48)


def test_one_image_that_is_refused_does_not_keep_the_others(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one without a ground, where a colour for it was given."""
    image: Any = Client.image

    def picky(self: Client, job: JobBody, index: int, **options: Any) -> bytes:  # noqa: ANN401 - passed on
        colour = {} if index else {"glyph": "#000000"}  # toys are traced: they have no glyph
        return bytes(image(self, job, index, **options, **colour))

    monkeypatch.setattr(Client, "image", picky)
    common = f"--label A --seed 7 --count 3 --size 48 --out {tmp_path} --url {url}".split()
    assert main(common) == Exit.REFUSED
    written, errors = capsys.readouterr()
    assert written.split() == [f"{tmp_path}/A-8.png", f"{tmp_path}/A-9.png"]
    assert errors.splitlines()[-1].startswith("glyph: this image has no glyph")


def test_an_archive_is_exported(client: Client) -> None:
    """For a web site."""
    job = client.wait(client.generate(label="A", seed=7))
    with ZipFile(io.BytesIO(client.export(job, "web", background="white"))) as archive:
        assert "favicon.ico" in archive.namelist()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--label", "A", "--size", "5"], Exit.REFUSED, "size: Input should be greater than or equal to 16"),
        (["--label", "Q"], Exit.REFUSED, "controls.label: label has no value 'Q'; it has: A, B, icon"),
        (["--model", "other"], Exit.REFUSED, "model: there is no model 'other'; this server has: toy, slow"),
        (["--count", "17"], Exit.REFUSED, "num_images: Input should be less than or equal to 16"),
        (["--url", NOBODY, "--retry-seconds", "0"], Exit.UNAVAILABLE, f"No server answers at {NOBODY}"),
        (["--out", "/dev/null"], Exit.FAILED, "/dev/null: File exists"),
    ],
)
def test_the_command_says_what_is_wrong(  # noqa: PLR0913, PLR0917 - three of them are fixtures
    arguments: list[str], status: Exit, message: str, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, with a status of its own and without a traceback."""
    assert main(["--url", url, "--out", str(tmp_path), *arguments]) == status
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(message)


def test_the_command_says_that_the_server_is_busy(
    settings: ServiceSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As distinct from away."""
    with running(Busy(create_app(settings), times=1)) as url:
        assert main(["--url", url, "--out", str(tmp_path), "--retry-seconds", "0"]) == Exit.BUSY
    assert "Service Unavailable" in capsys.readouterr().err


def test_another_server_is_told_from_this_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A success that is no job is no success."""
    with running(PlainTextResponse("Welcome!")) as url:
        assert main(["--url", url, "--out", str(tmp_path)]) == Exit.FAILED
    assert capsys.readouterr().err == f"{url}: The response is not a JobBody. Check the address of the server.\n"


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://there", "http://a:b"])
def test_an_address_that_is_none_is_refused_before_anything_is_sent(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As any other mistake on the command line."""
    with pytest.raises(SystemExit) as exited:
        main(["--url", address])
    assert exited.value.code == Exit.REFUSED
    assert "expected something like http://127.0.0.1:8000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--retry-seconds", "nan"], "argument --retry-seconds: expected a number, got 'nan'"),
        (["--guidance", "inf"], "argument --guidance: expected a number, got 'inf'"),
        (["--temperature", "base=nan"], "argument --temperature: expected a number or base=1"),
        (["--key", "schl\u00fcssel"], "argument --key: expected an API key of ASCII characters, from --key or SPN_KEY"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON has no NaN, a header no umlaut."""
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert exited.value.code == Exit.REFUSED
    assert message in capsys.readouterr().err


def test_a_key_of_the_environment_that_cannot_be_sent_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the name of the variable, and without the key."""
    monkeypatch.setenv("SPN_KEY", "schl\u00fcssel")
    with pytest.raises(SystemExit):
        main([])
    printed = capsys.readouterr().err
    assert "SPN_KEY" in printed
    assert "schl" not in printed


@pytest.mark.parametrize("proxy", ["foo://proxy.example", "socks5://proxy.example:1080"])
def test_a_proxy_that_cannot_be_used_is_named(
    proxy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server on this machine is reached without it."""
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    assert main(["--url", "http://images.example", "--retry-seconds", "0"]) == Exit.REFUSED
    assert "The proxy of the environment cannot be used: " in capsys.readouterr().err


def test_an_interrupted_command_cancels_its_job(url: str, client: Client, tmp_path: Path) -> None:
    """Ctrl-C: nobody pays for a picture that nobody waits for."""
    command = [sys.executable, "-m", "service.client", "--model", "slow", "--url", url, "--out", str(tmp_path)]
    before = jobs_at(url)
    with subprocess.Popen(command, env={**os.environ}, stderr=subprocess.PIPE, text=True) as process:
        while jobs_at(url) == before:
            assert process.poll() is None
            time.sleep(0.05)
        newest = httpx.get(f"{url}/jobs").json()["jobs"][0]["id"]
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        try:
            _, told = process.communicate(timeout=20)
        finally:
            process.kill()  # it would wait for ever where signals are ignored, as in a shell's background
    assert process.returncode == Exit.INTERRUPTED
    assert told.endswith("Interrupted; the job is canceled.\n")
    assert client.job(newest).status is Status.CANCELED
