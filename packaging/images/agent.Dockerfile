# From scratch: the folders that build.bash lays out, and nothing else. No registry, no network, no shell in it.
FROM scratch
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="Muster agent" \
      org.opencontainers.image.description="Roll call for software on other people's machines" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="https://github.com/muster/muster" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY root/ /
# The program's own folder: a new volume takes its owner from it.
COPY --chown=65532:65532 data/ /var/lib/
ENV PATH=/usr/local/bin SQLITE_TMPDIR=/var/lib/muster-agent
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/muster-agent"]
