"""The service from Python: `pip install 'subscale[client]'`.

    from service.client import Client

    with Client("http://127.0.0.1:8000") as client:
        job = client.wait(client.generate(controls={"label": "A", "hue": "blue"}, seed=7))
        image = client.image(job, scale=8)

`python -m service.client --help` does the same as a command.
"""

from service.client.client import Client, Request
from service.client.errors import ClientError, ProblemError, ServerUnavailableError, UnexpectedResponseError

__all__ = ["Client", "ClientError", "ProblemError", "Request", "ServerUnavailableError", "UnexpectedResponseError"]
