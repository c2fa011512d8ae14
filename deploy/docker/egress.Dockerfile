# The egress proxy: squid, and the platform's binary, which squid asks whether a run may go where it wants to. Build it in the root
# of the tree, after the platform image:
#   docker build -f deploy/docker/egress.Dockerfile --build-arg PLATFORM_IMAGE=codex-k8s@sha256:… -t codex-k8s-egress .
ARG PLATFORM_IMAGE=codex-k8s@sha256:unresolved
ARG DEBIAN_IMAGE=docker.io/library/debian:trixie-slim@sha256:unresolved

FROM ${PLATFORM_IMAGE} AS platform

FROM ${DEBIAN_IMAGE} AS egress
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates squid \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
COPY --from=platform /usr/bin/codex-k8s /usr/bin/codex-k8s
USER 65532:65532
ENTRYPOINT ["/usr/sbin/squid"]
