# syntax=docker/dockerfile:1
# The images, for those who have Docker (the demo builds its own without):
#   docker build --target operator -t REGISTRY/batch-scoring/operator:0.1.0 .
#   docker build --target scorer   -t REGISTRY/batch-scoring/scorer:0.1.0 .
#   docker build --target ingest   -t REGISTRY/batch-scoring/ingest:0.1.0 .     where there is a stream to read
FROM rust:1.95-bookworm AS source
WORKDIR /src
COPY . .

FROM source AS build
# --target keeps the static C runtime away from build scripts and procedural macros, which are loaded dynamically.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    target="$(uname -m)-unknown-linux-gnu" \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile dist --target "$target" \
       --package operator --bin operator --package scorer --bin scorer \
    && mkdir /out && cp "target/$target/dist/operator" "target/$target/dist/scorer" /out/

# By itself, so that the others need not wait for librdkafka and OpenSSL, which come as source: perl and make are in the image.
FROM source AS build-ingest
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    target="$(uname -m)-unknown-linux-gnu" \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile dist --target "$target" \
       --package ingest --bin ingest --features ingest/vendored-tls \
    && mkdir /out && cp "target/$target/dist/ingest" /out/

FROM scratch AS base
# The Azure clients refuse to start without any certificate authority.
COPY --from=source /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532

FROM base AS operator
COPY --from=build /out/operator /operator
ENTRYPOINT ["/operator"]

FROM base AS scorer
COPY --from=build /out/scorer /scorer
ENTRYPOINT ["/scorer"]

FROM base AS ingest
COPY --from=build-ingest /out/ingest /ingest
ENTRYPOINT ["/ingest"]
