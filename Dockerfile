# Installed in one stage, run in another that holds nothing but what runs.
FROM python:3.13-slim AS build
WORKDIR /build
# What is needed to serve, pinned and hashed: a layer of its own, which changes seldom.
COPY requirements.serve.lock ./
RUN python -m venv /agio \
    && /agio/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
        -r requirements.serve.lock
COPY pyproject.toml README.md ./
COPY actors actors
COPY channels channels
COPY app app
COPY migrations migrations
RUN /agio/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /agio/bin/pip uninstall --yes --quiet setuptools pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin agio
COPY --from=build /agio /agio
ENV PATH=/agio/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AGIO_HOST=0.0.0.0 \
    AGIO_PORT=4000
USER 10001
EXPOSE 4000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"AGIO_PORT\"]}/readyz', timeout=2)"]
ENTRYPOINT ["agio"]
CMD ["serve"]
