# The platform image: one binary, whose subcommands are the roles, and the console's files, which the gateway
# serves. Build it in the root of the tree:
#   docker build -f deploy/docker/platform.Dockerfile -t codex-k8s .
ARG RUST_IMAGE=docker.io/library/rust:1.95.0-slim-trixie@sha256:unresolved
ARG NODE_IMAGE=docker.io/library/node:22-trixie-slim@sha256:unresolved
ARG DEBIAN_IMAGE=docker.io/library/debian:trixie-slim@sha256:unresolved

FROM ${RUST_IMAGE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# The shapes of the queries are stored in the tree: no database is needed.
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --bin codex-k8s \
    && install -D target/release/codex-k8s /out/codex-k8s

# No script of a package is run.
FROM ${NODE_IMAGE} AS console
WORKDIR /console
COPY ui/package.json ui/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY ui .
RUN npx vite build

# Not distroless: git starts a shell when it fetches from a folder, as the worker has it do with its mirrors.
FROM ${DEBIAN_IMAGE} AS platform
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
COPY --from=build /out/codex-k8s /usr/bin/codex-k8s
COPY --from=console /console/dist /usr/share/codex-k8s/console
ENV CONSOLE_DIR=/usr/share/codex-k8s/console
USER 65532:65532
ENTRYPOINT ["/usr/bin/codex-k8s"]
