# Every target is what CI runs, or a part of it. "make help" lists them.

.DEFAULT_GOAL := help
SHELL := /bin/bash
DEMO_DIR ?= .strata/demo
# Where "make bench" puts its results, for "make bench-results" and benchstat.
BENCH_DIR ?= .cache/bench
BENCH_COUNT ?= 10

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build everything, without cgo
	CGO_ENABLED=0 go build ./...

.PHONY: demo
demo: ## Fetch market data through memory and Parquet; needs nothing but Go
	@CGO_ENABLED=0 go run ./examples/marketdata --dir $(DEMO_DIR)

.PHONY: demo-check
demo-check: ## Run the demo twice; the second run must not call the API
	@scripts/demo-check.sh

.PHONY: deps
deps: ## Find or install what the tests need: a C++ compiler, redis-server, Python
	@scripts/deps.sh

.PHONY: test
test: deps ## Run all tests with the race detector, against a Redis of their own
	@STRATA_REQUIRE_REDIS=1 scripts/test.sh -race

.PHONY: race
race: test ## The same as test

.PHONY: test-short
test-short: ## Run the quick tests; what needs Redis is skipped where it is absent
	@scripts/test.sh -short

.PHONY: cover
cover: deps ## Print the coverage of every public package; fails below 85 %
	@scripts/coverage.sh

.PHONY: fmt
fmt: ## Format the code
	gofmt -s -w .

.PHONY: vet
vet: ## Run go vet in every module
	@scripts/lint.sh vet

.PHONY: lint
lint: ## Check formatting, go vet, golangci-lint, go.mod files and scripts
	@scripts/lint.sh

.PHONY: tidy-check
tidy-check: ## Check that every go.mod is tidy
	@scripts/lint.sh tidy

.PHONY: tidy
tidy: ## Run go mod tidy in every module
	@. scripts/lib.sh; for d in $$(modules); do (cd $$d && go mod tidy) || exit; done

.PHONY: fuzz-short
fuzz-short: ## Fuzz every target for FUZZTIME (5s)
	@scripts/fuzz.sh

.PHONY: torture
torture: deps ## Attack what docs/reliability.md promises, for hours; PARTS="kill power" runs some
	@scripts/torture.sh $(PARTS)

.PHONY: bench
bench: deps ## Compare with other caches, in turns; PART="hit disk" runs some, BENCH=Name what it matches
ifdef BENCH
	@BENCH='$(BENCH)' scripts/bench.sh only $(BENCH_COUNT) $(BENCH_DIR)/only.out
else
	@PART='$(PART)' scripts/bench.sh $(BENCH_COUNT) $(BENCH_DIR)
endif

.PHONY: bench-results
bench-results: ## Write benchmarks/RESULTS.md and its charts from what make bench left
	@scripts/bench.sh results $(BENCH_DIR)

.PHONY: results
results: bench bench-results ## Both: benchmarks/RESULTS.md anew, on a quiet machine

.PHONY: serve-bench
serve-bench: ## Compare strata serve with redis-server by redis-benchmark
	@scripts/serve-bench.sh

.PHONY: bench-short
bench-short: ## Run every benchmark briefly, to see that it still works
	@scripts/bench.sh short

.PHONY: ci
ci: ## What CI runs
	@.ci/run

.PHONY: clean
clean: ## Remove what the other targets left behind
	rm -rf .cache .strata bin
