# The HTTP service: no torch, no compiler, not root.
FROM python:3.11-slim
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY requirements.lock docker/api.in ./
RUN pip install --constraint requirements.lock -r api.in
COPY models models
COPY service service
USER 1000:1000
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["python", "-m", "service.main"]
