# The strata binary: static, without a shell, as a user that is nobody.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /strata ./cmd/strata \
    && mkdir /data && chown 65532:65532 /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /strata /strata
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
VOLUME /data
EXPOSE 6379 9180
# In a container, loopback is the container's own: it listens to all, so set
# STRATA_SERVER_PASSWORD, or keep the network to yourself.
ENV STRATA_DISK_DIR=/data STRATA_SERVER_ADDR=:6379 STRATA_SERVER_HTTP=:9180
STOPSIGNAL SIGTERM
ENTRYPOINT ["/strata"]
CMD ["serve"]
