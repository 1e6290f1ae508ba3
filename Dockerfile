# The service, for `compose.yaml` or any runtime that can give it a read-only root, a volume and a small /tmp.
FROM python:3.12-slim-bookworm AS wheels
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY classifier classifier
COPY training training
COPY service service
COPY data data
COPY models models
RUN pip wheel --no-cache-dir --wheel-dir /wheels '.[service,postgres]'

FROM python:3.12-slim-bookworm
RUN groupadd --gid 10001 dualuse \
    && useradd --uid 10001 --gid dualuse --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin dualuse \
    && install --directory --owner=dualuse --group=dualuse --mode=0700 /data
# hadolint ignore=DL3013
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links=/wheels 'dualuse[service,postgres]'
# The compiled scoring code is cached under the data folder, so that a new container need not compile it again.
ENV DUALUSE_DATA_DIR=/data \
    NUMBA_CACHE_DIR=/data/cache/numba \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
ENTRYPOINT ["dualuse"]
# Any address of the container; the service refuses that as long as no key is defined (`keys add`).
CMD ["serve", "--host", "0.0.0.0"]
