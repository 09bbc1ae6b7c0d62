# One command each. `make setup` is called by those that need it and is quick when there is nothing to do.
SHELL := /bin/sh
.DEFAULT_GOAL := help
# The tools below must run on the Node 24 of node_modules, never on the machine's own.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

TYPESCRIPT := src test bench scripts
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fairlead

.PHONY: help setup demo images check test unit e2e cluster clustertest fuzz generate format bench build clean run-e2e run-cluster

help: ## this list
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## install npm dependencies and Debian packages (needs root when some are missing)
	@scripts/setup.sh

demo: setup ## show what Fairlead does, side by side with umoci and runc (needs root)
	@node scripts/demo/main.ts

images: setup ## build what the demo and the tests run (images, a Kubernetes), into a cache
	@node scripts/build-demo-image.ts
	@node scripts/build-postgres-image.ts
	@node scripts/build-controller-image.ts
	@node scripts/build-registry-tools.ts
	@node scripts/build-cluster.ts

check: setup ## types, lint, format, generated files: fast
	tsc -p tsconfig.json
	oxlint --type-aware --deny-warnings $(TYPESCRIPT)
	oxfmt --check $(TYPESCRIPT)
	node scripts/check-generated.ts

test: check images ## everything: check, unit tests, tests on real runtimes and a real Kubernetes (needs root)
	vitest run --project unit
	@$(MAKE) --no-print-directory --jobs=2 --keep-going run-e2e run-cluster

# Side by side, because both mostly wait.
run-e2e run-cluster: run-%:
	vitest run --project $*

unit: setup ## unit tests only; need neither root nor runtimes
	vitest run --project unit

e2e: images run-e2e ## end-to-end tests only (needs root)

clustertest: images run-cluster ## tests on a real Kubernetes only (needs root)

fuzz: setup ## look for inputs that break a reader, for FUZZ_SECONDS (600)
	@node test/fuzz/run.ts

cluster: images ## start a Kubernetes to play with; prints what to type, stays until Ctrl-C (needs root)
	@node scripts/cluster.ts

generate: setup ## write the files that are made from the schema
	node scripts/generate.ts

format: setup ## rewrite the source in the one format
	oxfmt $(TYPESCRIPT)

bench: setup ## measure against peers in the same run, write docs/performance.md (ONLY="unpack": a part)
	@node bench/main.ts $(ONLY)

build: setup ## compile to dist/
	npm run --silent build

clean: ## remove what the targets above made (never volumes, state or Debian packages)
	rm -rf dist coverage .cache node_modules "$(CACHE)"
