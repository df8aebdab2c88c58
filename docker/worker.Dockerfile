# A worker: CPU torch by default; --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 for CUDA.
FROM python:3.11-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 OMP_WAIT_POLICY=PASSIVE
# g++ compiles the passes for the processor that they run on, once; see SPN_ARTEFACTS.
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY requirements.lock docker/worker.in ./
RUN pip install --no-deps --retries 1 --extra-index-url "$TORCH_INDEX" "$(grep '^torch==' requirements.lock)" \
 && pip install --constraint requirements.lock -r worker.in
COPY models models
COPY service service
COPY worker worker
RUN mkdir /cache && chown 1000:1000 /cache
ENV SPN_ARTEFACTS=/cache/passes TORCHINDUCTOR_CACHE_DIR=/cache/inductor
VOLUME /cache
USER 1000:1000
CMD ["python", "-m", "worker.main"]
