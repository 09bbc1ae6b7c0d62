# The controller's image, and the image that preflight pods run: Node, the compiled program and what it imports.
#
#   docker build -t REGISTRY/fairlead:TAG .
#
# Nothing is run in the last stage. Any base will do that has glibc, libstdc++ and GNU coreutils: preflight pods copy
# with `cp`, `touch` and `sync`. BUILD_BASE needs npm 10 or newer and a POSIX shell.
ARG BASE=docker.io/library/debian:12-slim
ARG BUILD_BASE=docker.io/library/node:24-bookworm-slim

FROM ${BUILD_BASE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# With the development dependencies: the compiler, and the very Node that the tests ran on (the npm package `node`).
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run --silent build
RUN mkdir -p /out/bin \
 && cp -L node_modules/node/bin/node /out/bin/node \
 && chmod 0755 /out/bin/node \
 && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
 # Declarations and source maps are two thirds of the weight, and nothing reads them at run time.
 && find node_modules -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' \) -delete \
 && rm -rf node_modules/.bin node_modules/.cache \
 && cp -R package.json node_modules dist /out/ \
 && chmod 0755 /out/dist/main.js \
 && mkdir -p /links/bin /certs \
 && ln -s /opt/fairlead/dist/main.js /links/bin/fairlead \
 # Node carries Mozilla's roots itself; credential plugins and other programs look for them here.
 && /out/bin/node -p 'require("node:tls").rootCertificates.join("\n")' > /certs/ca-certificates.crt

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="fairlead" \
      org.opencontainers.image.description="Runs container images and keeps every promise they make: volumes, digests, hooks, data" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /links/bin/ /usr/local/bin/
COPY --from=build /out/bin /opt/fairlead/bin
COPY --from=build /out/node_modules /opt/fairlead/node_modules
COPY --from=build /out/package.json /opt/fairlead/package.json
COPY --from=build /out/dist /opt/fairlead/dist
# glibc keeps what threads free for themselves; with MALLOC_* it goes back, which saves tens of megabytes.
ENV PATH=/opt/fairlead/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODE_ENV=production \
    MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=131072 \
    MALLOC_TRIM_THRESHOLD_=131072
# A number, so that `runAsNonRoot` can be checked without reading /etc/passwd.
USER 65532:65532
EXPOSE 8080 8081
# Node gives memory back once the controller rests, and lets little garbage pile up. The benchmarks run with the same.
ENTRYPOINT ["/opt/fairlead/bin/node", "--optimize-for-size", "--max-semi-space-size=4", "/opt/fairlead/dist/main.js"]
CMD ["version"]
