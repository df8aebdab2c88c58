"""`python -m service.main`: the API on the host and port of the settings."""

from __future__ import annotations

import gc
import logging
import sys

from models.errors import CheckpointError
from service.app import create_app
from service.contract import logs
from service.contract.environment import read_settings, require_model
from service.contract.listening import check_listening
from service.server import server_of
from service.settings import ServiceSettings

logger = logging.getLogger(__name__)


def main() -> int:
    """Serve until SIGTERM. Exit status 1 for a damaged card or a port that is taken, 2 for a setting that is not accepted."""
    settings = read_settings(ServiceSettings)
    require_model(settings.models, settings.model)
    logs.configure(settings.log_format)
    try:
        check_listening(settings.host, settings.port)
    except OSError as error:
        logger.error("cannot listen on %s:%d: %s; change SPN_PORT", settings.host, settings.port, error.strerror)  # noqa: TRY400
        return 1
    try:
        app = create_app(settings)
    except CheckpointError as error:
        logger.error("%s", error)  # noqa: TRY400 - the message says it all
        return 1
    gc.freeze()  # what lives as long as the process: looking through it again and again took 44 ms of a request's time
    server_of(app).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
