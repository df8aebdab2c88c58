# A worker. By default with torch for the CPU; with --build-arg TORCH=cuda --build-arg TORCH_INDEX= with that for CUDA.
ARG PYTHON_IMAGE=python:3.11-slim
FROM ${PYTHON_IMAGE}
ARG TORCH=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore \
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# g++ compiles the sampler for the processor that it runs on, once; see SPN_ARTEFACTS.
# Not pinned: Debian keeps only the latest version of a release, another could not be had a month later.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# Largest and steadiest first.
COPY docker/torch-$TORCH.lock docker/
RUN pip install --no-deps --only-binary :all: --require-hashes --retries 1 ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
    -r "docker/torch-$TORCH.lock"
COPY docker/worker.lock docker/
RUN pip install --no-deps --only-binary :all: --require-hashes -r docker/worker.lock && pip check
COPY models models
COPY service service
COPY worker worker
RUN mkdir /cache && chown 1000:1000 /cache
ENV SPN_ARTEFACTS=/cache/passes TORCHINDUCTOR_CACHE_DIR=/cache/inductor TRITON_CACHE_DIR=/cache/triton CUDA_CACHE_PATH=/cache/cuda
# Without it Inductor starts a compiler process for each core of the host, however few the container has.
ENV TORCHINDUCTOR_COMPILE_THREADS=2
VOLUME /cache
USER 1000:1000
HEALTHCHECK --interval=30s --timeout=20s --start-period=10m --start-interval=2s CMD ["python", "-m", "worker.doctor", "--quick"]
CMD ["python", "-m", "worker.main"]
