# Stand-ins for the images that those of deploy/docker are built on, where no registry of images can be reached: the same release of
# Debian, and the same programs at the same places. `cargo dev images build --bases-from-packages` makes them.
FROM scratch AS debian
ADD debian.tar /
RUN echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/docker-apt-speedup
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CMD ["bash"]

# As the minimal profile installs it: without clippy, rustfmt and documentation.
FROM debian AS rust
ARG RUST_VERSION
ARG TOOLCHAIN
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo RUST_VERSION=${RUST_VERSION} \
    PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=toolchain lib /usr/local/rustup/toolchains/${TOOLCHAIN}/lib
COPY --from=toolchain bin/cargo bin/rustc /usr/local/rustup/toolchains/${TOOLCHAIN}/bin/
COPY --from=rustup rustup /usr/local/cargo/bin/rustup
RUN cd /usr/local/rustup/toolchains/${TOOLCHAIN}/lib/rustlib \
    && awk -v RS= -v ORS='\n\n' '!/clippy|rustfmt|rust-docs/' multirust-config.toml >minimal \
    && mv minimal multirust-config.toml \
    && sed -i '/^clippy\|^rustfmt\|^rust-docs/d' components \
    && ln -s rustup /usr/local/cargo/bin/cargo \
    && ln -s rustup /usr/local/cargo/bin/rustc \
    && rustup default ${TOOLCHAIN} \
    && cargo --version

FROM debian AS node
ARG NODE_PACKAGE
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
COPY --from=packages ${NODE_PACKAGE}/bin/node /usr/local/bin/node
COPY --from=packages npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
    && npm --version
