# syntax=docker/dockerfile:1
# Both images, for those who have Docker (the demo builds its own without):
#   docker build --target operator -t REGISTRY/batch-scoring/operator:0.1.0 .
#   docker build --target scorer   -t REGISTRY/batch-scoring/scorer:0.1.0 .
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# --target keeps the static C runtime away from build scripts and procedural macros, which are loaded dynamically.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    target="$(uname -m)-unknown-linux-gnu" \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile dist --target "$target" \
       --package operator --bin operator --package scorer --bin scorer \
    && mkdir /out && cp "target/$target/dist/operator" "target/$target/dist/scorer" /out/

FROM scratch AS base
# The Azure clients refuse to start without any certificate authority.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532

FROM base AS operator
COPY --from=build /out/operator /operator
ENTRYPOINT ["/operator"]

FROM base AS scorer
COPY --from=build /out/scorer /scorer
ENTRYPOINT ["/scorer"]
