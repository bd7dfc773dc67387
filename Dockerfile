# The image of byokd: the program, its licence and what it is made of, on a base with a C library and nothing else.
#
#   docker build --build-arg REVISION=$(git rev-parse HEAD) --build-arg SOURCE=$(git remote get-url origin) -t byokd .
#
# What each step does stands in helm/image/build.sh, which the tests run without a container engine. docs/image.md says
# how to run the image, and what only a container engine can show of it.

# Exact tags; the distroless base has none but these, so a release names both by digest:
#   --build-arg BUILDER=rust:1.95.0-bookworm@sha256:… --build-arg BASE=gcr.io/distroless/cc-debian12:nonroot@sha256:…
# Both are Debian 12: a binary needs a C library that is no older than the one it was built with.
ARG BUILDER=rust:1.95.0-bookworm
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILDER} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV CARGO_TARGET_DIR=/build/target PROFILE=dist
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    CARGO_TARGET_DIR=/tmp/cyclonedx cargo install --locked cargo-cyclonedx@0.5.9 && rm -r /tmp/cyclonedx

# The dependencies are compiled anew only when one of these files changes.
WORKDIR /build/dependencies
COPY Cargo.toml Cargo.lock helm/image/build.sh ./
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked ./build.sh dependencies

WORKDIR /build/byokd
COPY . .
# What byokd_build_info tells.
ARG REVISION=unknown
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    export BYOKD_REVISION="${REVISION}" && helm/image/build.sh binary && helm/image/build.sh rootfs /rootfs

# hadolint ignore=DL3006
FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="byokd" \
      org.opencontainers.image.description="Bring-your-own-key for LLM products: whose key, which model, where, and who pays" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /rootfs/usr /usr
COPY --from=build --chown=65532:65532 /rootfs/var/lib/byokd /var/lib/byokd
# By number, so that a cluster can tell that it is not root.
USER 65532:65532
# Nothing here listens off loopback, and nothing is set but this: byokd refuses to serve in clear text unless told to.
ENV BYOKD__SERVER__DATA_DIR=/var/lib/byokd
WORKDIR /var/lib/byokd
EXPOSE 50051 9464
ENTRYPOINT ["/usr/local/bin/byokd"]
CMD ["serve"]
# A cluster asks by its own probes; this is for engines without one. Longer than `byokd healthcheck` takes to give up.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/usr/local/bin/byokd", "healthcheck"]
