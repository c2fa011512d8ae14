# The runner image: what a Job's init container copies into the pod (/opt/codex-k8s), and common tool chains, for projects that
# name no image of their own. Build it in the root of the tree, after the platform image:
#   docker build -f deploy/docker/runner.Dockerfile --build-arg PLATFORM_IMAGE=codex-k8s@sha256:… -t codex-k8s-runner .
ARG PLATFORM_IMAGE=codex-k8s@sha256:unresolved
ARG NODE_IMAGE=docker.io/library/node:22-trixie-slim@sha256:unresolved
ARG DEBIAN_IMAGE=docker.io/library/debian:trixie-slim@sha256:unresolved

FROM ${PLATFORM_IMAGE} AS platform

# The Codex CLI of the lock file that the platform is tested with. No script of a package is run.
FROM ${NODE_IMAGE} AS codex
WORKDIR /codex
COPY crates/devkit/assets/npm/codex/package.json crates/devkit/assets/npm/codex/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund \
    && install -D node_modules/@openai/codex-linux-*/vendor/*-unknown-linux-musl/bin/codex /out/codex

# The same release of Debian as the platform image: loader and libraries of binary and git come from here.
FROM ${DEBIAN_IMAGE} AS bundle
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git \
    && rm -rf /var/lib/apt/lists/*
COPY --from=platform /usr/bin/codex-k8s /in/codex-k8s
COPY --from=codex /out/codex /in/codex
COPY deploy/images/bundle.sh /in/bundle.sh
RUN /bin/sh /in/bundle.sh /in/codex-k8s /in/codex /opt/codex-k8s

# Java's packages make links to their manuals, and a slim image has no folder for these.
FROM ${DEBIAN_IMAGE} AS runner
RUN mkdir -p /usr/share/man/man1 \
    && apt-get update \
    && apt-get install --yes --no-install-recommends \
        build-essential ca-certificates cargo curl git golang-go jq make nodejs npm \
        openjdk-21-jdk-headless pkg-config python3 python3-pip python3-venv ripgrep rustc unzip \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
COPY --from=bundle /opt/codex-k8s /opt/codex-k8s
# The user of agents' pods.
USER 10001:10001
WORKDIR /work
