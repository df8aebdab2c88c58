"""The official `openai` package of PyPI, unmodified, against the real app."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import redis
from openai import OpenAI
from PIL import Image

from service.api_keys import KeyHash, sha256_of
from service.contract.redis_keys import Keys, owned_key, queued_key
from service.contract.transitions import Claim, Transitions
from service.settings import ServiceSettings
from tests.harness.drawing import POISONED, acquire, an_entry
from tests.harness.later import later
from tests.harness.painting import painting
from tests.harness.serving import serving

KEYS = tuple(KeyHash(name=name, sha256=sha256_of(f"{name}'s key")) for name in ("studio", "other"))
PROMPT = "a blue letter A on a circle"
LIMIT = 8
DOCUMENT = Path(__file__).parents[3] / "docs" / "openai.md"
SERVER = "http://127.0.0.1:8000"
REVISED = "the letter A, hue blue, tile circle"


@pytest.fixture(scope="module")
def api(redis_url: str, models: Path) -> Iterator[str]:
    """The app for the model `toy`, with keys."""
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy", keys=KEYS, rate_per_minute=LIMIT)
    with serving(settings) as url:
        yield url


def client_of(api: str, owner: str) -> OpenAI:
    """A client with a key."""
    return OpenAI(base_url=f"{api}/v1", api_key=f"{owner}'s key", max_retries=0, timeout=60)


@pytest.fixture
def client(store: redis.Redis, api: str) -> Iterator[OpenAI]:
    """A client with a key, and no jobs."""
    assert store.dbsize() == 0
    with client_of(api, "studio") as made:
        yield made


@pytest.fixture
def stranger(api: str) -> Iterator[OpenAI]:
    """A client with an unknown key."""
    with client_of(api, "nobody") as made:
        yield made


@pytest.fixture
def painted(redis_url: str, client: OpenAI) -> Iterator[OpenAI]:
    """A client whose jobs are completed at once."""
    with painting(redis_url):
        yield client


def image_of(encoded: str | None) -> Image.Image:
    """The image in a base64 text."""
    return Image.open(io.BytesIO(base64.b64decode(encoded or "")))


def test_the_sample_of_the_documentation(painted: OpenAI, tmp_path: Path) -> None:
    """As on OpenAI's page on image generation, with another model and prompt."""
    img = painted.images.generate(model="toy", prompt=PROMPT, n=1, size="1024x1024")
    image_bytes = base64.b64decode((img.data or [])[0].b64_json or "")
    (tmp_path / "output.png").write_bytes(image_bytes)
    with Image.open(tmp_path / "output.png") as image:
        assert (image.size, image.format) == ((1024, 1024), "PNG")


def test_the_snippet_of_the_documentation(
    painted: OpenAI, api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/openai.md, with a key and with a prompt for the toy model."""
    (text,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    for shown, here in ((SERVER, api), ('"none"', f'"{painted.api_key}"'), ("a blue rounded icon of a house", PROMPT)):
        assert shown in text
        text = text.replace(shown, here)
    monkeypatch.chdir(tmp_path)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=60)
    partial = ["image_generation.partial_image"] * 2
    assert done.stdout.splitlines() == [REVISED, *partial, "image_generation.completed"], done.stderr
    with Image.open("house.png") as house, Image.open("house-so-far.png") as last:
        assert (house.size, last.size) == ((512, 512), (1024, 1024))


@pytest.mark.parametrize(
    ("size", "output_format", "background"),
    [("64x64", "png", "transparent"), ("100x100", "webp", "auto"), ("512x512", "jpeg", "opaque")],
)
def test_an_image_has_the_requested_form(size: str, output_format: Any, background: Any, painted: OpenAI) -> None:  # noqa: ANN401 - literals of the package
    """Size, format and background."""
    response = painted.images.generate(prompt=PROMPT, size=size, output_format=output_format, background=background)
    (data,) = response.data or []
    image = image_of(data.b64_json)
    assert (f"{image.width}x{image.height}", image.format) == (size, output_format.upper())
    assert (response.size, response.output_format) == (size, output_format)
    assert response.background == ("transparent" if background == "transparent" else "opaque")
    assert data.revised_prompt == REVISED
    assert response.usage
    assert response.usage.output_tokens == 8 * 4 * 4 * 3


def test_several_images_differ_and_a_seed_repeats_them(painted: OpenAI) -> None:
    """Image i has seed + i. The job keeps the prompt."""
    many = painted.images.generate(prompt=PROMPT, n=3, size="64x64", extra_body={"seed": 7}, user="u-1")
    assert len({each.b64_json for each in many.data or []}) == 3
    headers = {"Authorization": f"Bearer {painted.api_key}"}
    (job,) = httpx.get(f"{str(painted.base_url)[:-3]}jobs", headers=headers).json()["jobs"]
    assert (job["seed"], job["num_images"], job["metadata"]) == (7, 3, {"prompt": PROMPT, "user": "u-1"})


def test_urls_are_absolute_and_signed(painted: OpenAI, api: str) -> None:
    """They need no key, and those of one owner are not another's."""
    with client_of(api, "other") as other:
        one, two = (
            (
                client.images.generate(
                    prompt=PROMPT, response_format="url", size="128x128", background="transparent"
                ).data
                or []
            )[0]
            for client in (painted, other)
        )
    assert one.url
    assert two.url
    assert one.b64_json is None
    assert one.url.startswith(f"{api}/jobs/")
    answer = httpx.get(one.url)
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (128, 128)
    others_signature = one.url.partition("sig=")[0] + "sig=" + two.url.partition("sig=")[2]
    assert httpx.get(others_signature).status_code == 403
    assert httpx.get(one.url.partition("&sig=")[0]).status_code == 401


def test_a_stream_has_partial_images_and_the_finished_one(painted: OpenAI) -> None:
    """At equal distances; all of the requested size."""
    stream = painted.images.generate(prompt=PROMPT, stream=True, partial_images=3, size="256x256")
    events = list(stream)
    assert [each.type for each in events] == 3 * ["image_generation.partial_image"] + ["image_generation.completed"]
    assert [each.partial_image_index for each in events if each.type == "image_generation.partial_image"] == [0, 1, 2]
    assert {image_of(each.b64_json).size for each in events} == {(256, 256)}
    assert len({each.b64_json for each in events}) == 4
    last = events[-1]
    assert last.type == "image_generation.completed"
    assert last.usage.output_tokens == 8 * 4 * 4 * 3
    plain = painted.images.generate(prompt=PROMPT, size="256x256", extra_body={"seed": 1})
    assert last.b64_json == (plain.data or [])[0].b64_json


def test_a_stream_of_several_images_says_which_is_which(painted: OpenAI) -> None:
    """Each has its partial images and its end."""
    events = list(painted.images.generate(prompt=PROMPT, stream=True, partial_images=1, n=2, size="64x64"))
    found = sorted((each.type, each.model_extra["image_index"]) for each in events if each.model_extra)
    assert found == [(f"image_generation.{kind}", index) for kind in ("completed", "partial_image") for index in (0, 1)]


class Worker:
    """A worker by hand for the only job."""

    def __init__(self, store: redis.Redis) -> None:
        jobs: Any = store.zrange(queued_key("toy"), 0, -1)
        self.claim = Claim(keys=Keys(id=jobs[0].decode(), model="toy"), token="hand")
        self._transitions = Transitions(store)
        self._transitions(acquire(self.claim))
        for step in range(4):
            self._transitions(self.claim.append(an_entry(step)))

    def finish(self) -> None:
        """Generate the other half."""
        for step in range(4, 8):
            self._transitions(self.claim.append(an_entry(step)))
        self._transitions(self.claim.finish())

    def fail(self) -> None:
        """Fail after half of the image."""
        self._transitions(self.claim.fail(POISONED))

    def cancel(self) -> None:
        """Cancel after half of the image."""
        self._transitions(self.claim.cancel())


def test_a_job_that_fails_is_an_error(client: OpenAI, store: redis.Redis) -> None:
    """With its problem, and a client does not try again."""
    with later(1, lambda: Worker(store).fail()), pytest.raises(openai.InternalServerError) as caught:
        client.with_options(max_retries=2).images.generate(prompt=PROMPT)
    assert (caught.value.code, caught.value.type) == ("test", "server_error")
    assert "as a test" in caught.value.message
    assert store.zcard(owned_key("studio", "jobs")) == 1


def test_a_canceled_job_is_an_error(client: OpenAI, store: redis.Redis) -> None:
    """Likewise."""
    with later(1, lambda: Worker(store).cancel()), pytest.raises(openai.ConflictError) as caught:
        client.with_options(max_retries=2).images.generate(prompt=PROMPT)
    assert caught.value.code == "canceled"
    assert store.zcard(owned_key("studio", "jobs")) == 1


def test_a_stream_that_fails_ends_with_an_error(client: OpenAI, store: redis.Redis) -> None:
    """After the partial images until then."""
    with later(1, lambda: Worker(store).fail()):
        stream = client.images.generate(prompt=PROMPT, stream=True, partial_images=1, size="64x64")
        assert next(stream).type == "image_generation.partial_image"
        with pytest.raises(openai.APIError, match="as a test") as caught:
            next(stream)
    assert caught.value.type == "server_error"


class Refusal:
    """Redis refuses the commands that read jobs for two seconds, while a worker completes the only job."""

    def __init__(self, store: redis.Redis) -> None:
        self._store = store

    def __call__(self) -> None:
        """Refuse, complete, allow."""
        self._store.acl_setuser("default", enabled=True, commands=["-xrange", "-hgetall"])
        try:
            worker = Worker(self._store)
            time.sleep(2)
            worker.finish()
        finally:
            self._store.acl_setuser("default", enabled=True, commands=["+xrange", "+hgetall"])


@pytest.mark.parametrize("stream", [True, False])
def test_a_request_waits_while_redis_is_not_available(stream: bool, client: OpenAI, store: redis.Redis) -> None:
    """A client could not resume a stream, and would submit a second job after an error."""
    with later(1, Refusal(store)):
        answer: Any = client.with_options(max_retries=2).images.generate(prompt=PROMPT, size="64x64", stream=stream)
        if stream:
            assert [each.type for each in answer] == ["image_generation.completed"]
    assert store.zcard(owned_key("studio", "jobs")) == 1


def test_an_idempotency_key_repeats_the_answer(painted: OpenAI) -> None:
    """Streamed or not; another body is refused."""
    headers = {"Idempotency-Key": "icon-1"}
    one, two = (painted.images.generate(prompt=PROMPT, size="64x64", extra_headers=headers) for _ in range(2))
    assert one.data == two.data
    with pytest.raises(openai.BadRequestError) as caught:
        painted.images.generate(prompt="a red A", size="64x64", extra_headers=headers)
    assert caught.value.code == "idempotency_key_reused"


def test_a_client_that_leaves_cancels_nothing(client: OpenAI, store: redis.Redis, redis_url: str) -> None:
    """Its job stays in the queue, and a repeat with the same Idempotency-Key gets the images."""
    headers = {"Idempotency-Key": "icon-2"}
    with pytest.raises(openai.APITimeoutError):
        client.images.generate(prompt=PROMPT, size="64x64", extra_headers=headers, timeout=1)
    client.images.generate(prompt=PROMPT, size="64x64", stream=True).close()
    assert store.zcard(queued_key("toy")) == 2
    with painting(redis_url):
        assert client.images.generate(prompt=PROMPT, size="64x64", extra_headers=headers).data
    assert store.zcard(owned_key("studio", "jobs")) == 2


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "words": ({"prompt": "a fluffy A"}, "prompt"),
    "no words": ({"prompt": ""}, "prompt"),
    "10 kB": ({"prompt": "a blue A " * 1200}, "prompt"),
    "4 KiB of metadata": (
        {"prompt": "blue A" + "\u2003" * 900, "user": "\U0001f600" * 200, "safety_identifier": "\U0001f600" * 200},
        "prompt",
    ),
    "none": ({"n": 0}, "n"),
    "eleven": ({"n": 11}, "n"),
    "small": ({"size": "32x32"}, "size"),
    "no number": ({"size": "large"}, "size"),
    "oblong": ({"size": "1536x1024"}, "size"),
    "huge": ({"size": "2048x2048"}, "size"),
    "gif": ({"output_format": "gif"}, "output_format"),
    "transparent JPEG": ({"background": "transparent", "output_format": "jpeg"}, "background"),
    "partial images without stream": ({"partial_images": 2}, "partial_images"),
    "four partial images": ({"stream": True, "partial_images": 4}, "partial_images"),
    "streamed SVG": ({"stream": True, "output_format": "svg"}, "output_format"),
    "streamed URL": ({"stream": True, "response_format": "url"}, "response_format"),
    "compression": ({"output_compression": 50}, "output_compression"),
    "style": ({"style": "vivid"}, "style"),
    "unknown field": ({"extra_body": {"colour": "red"}}, "colour"),
    "unknown query parameter": ({"extra_query": {"width": 64}}, "width"),
    "long idempotency key": ({"extra_headers": {"Idempotency-Key": "k" * 256}}, "idempotency-key"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_field_is_a_bad_request_that_names_it(case: str, client: OpenAI, store: redis.Redis) -> None:
    """In OpenAI's form, and nothing is submitted."""
    fields, param = REFUSED[case]
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(**{"prompt": PROMPT, **fields})
    assert (caught.value.param, caught.value.type, caught.value.code) == (
        param,
        "invalid_request_error",
        "invalid_value",
    )
    assert caught.value.request_id
    assert store.zcard("spn:queued:toy") == 0


def test_other_refusals_have_their_classes(client: OpenAI, stranger: OpenAI, api: str) -> None:
    """Keys, models, paths and methods."""
    with pytest.raises(openai.AuthenticationError) as caught:
        stranger.images.generate(prompt=PROMPT)
    assert caught.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-image-2'; this server has: ") as missing:
        client.images.generate(model="gpt-image-2", prompt=PROMPT)
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="toy", messages=[{"role": "user", "content": "draw"}])
    for path in ("/v1", "/v1/", "/v1/none"):
        assert httpx.get(f"{api}{path}").json()["error"]["type"] == "invalid_request_error"
    answer = httpx.put(f"{api}/v1/models")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert httpx.post(f"{api}/v1/images/generations", content=b"x" * (1 << 20 | 1)).json()["error"]["message"]


def test_the_rate_limit_is_a_rate_limit_error(client: OpenAI) -> None:
    """Refused requests count; the answer says when to come back."""
    for _ in range(LIMIT):
        with pytest.raises(openai.BadRequestError):
            client.images.generate(prompt="a fluffy A")
    with pytest.raises(openai.RateLimitError) as caught:
        client.images.generate(prompt=PROMPT)
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")
    assert int(caught.value.response.headers["retry-after"]) > 0


def test_models_are_listed(client: OpenAI, stranger: OpenAI) -> None:
    """With a key, as at OpenAI."""
    listed = client.models.list().data  # the default model first
    assert [each.id for each in listed] == ["toy", "slow"]
    assert client.models.retrieve("toy") in listed
    assert listed[0].object == "model"
    assert listed[0].created > 1_700_000_000
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-image-2'"):
        client.models.retrieve("gpt-image-2")
    with pytest.raises(openai.AuthenticationError):
        stranger.models.list()


def test_errors_of_other_routes_are_problems_as_before(api: str) -> None:
    """Only routes below /v1 speak OpenAI's language."""
    assert httpx.get(f"{api}/jobs").json()["type"] == "urn:spn:key-missing"
