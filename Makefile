# autovoiced: every word that CI or a developer needs. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN     := bin/autovoiced
SAMPLE  := testdata/audio/sample.flac
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
VERSION_IN := github.com/autovoiced/autovoiced/daemon.Version
LINTER  := bin/golangci-lint-2.15.0
PKGS    ?= ./...
FUZZTIME ?= 10s

.PHONY: help
help: ## list these words
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: deps build selfcheck ## install what is missing, build, check with a bundled sample, serve on http://127.0.0.1:8484
	@exec $(BIN)

.PHONY: build
build: deps ## build bin/autovoiced
	@go build -buildvcs=false -ldflags '-X $(VERSION_IN)=$(VERSION)' -o $(BIN) ./daemon/autovoiced

.PHONY: install
install: deps ## install autovoiced into Go's bin folder
	go install -buildvcs=false -ldflags '-X $(VERSION_IN)=$(VERSION)' ./daemon/autovoiced

.PHONY: deps
deps: ## install the packages and the ONNX Runtime that are missing
	@.ci/deps

# Converts the bundled sample once for each build: the line it prints is kept with the binary's and
# the sample's hash, so that the second start need not wait for it.
.PHONY: selfcheck
selfcheck: build
	@mkdir -p .cache
	@sum="$$(sha256sum $(BIN) $(SAMPLE))"; \
	if [ "$$(head -n 2 .cache/selfcheck 2>/dev/null || true)" != "$$sum" ]; then \
	  line="$$($(BIN) convert $(SAMPLE) -o .cache/selfcheck.wav --separation none --results "" --quiet)"; \
	  printf '%s\n%s\n' "$$sum" "$$line" >.cache/selfcheck; \
	fi; \
	echo "self-check: $$(tail -n +3 .cache/selfcheck)"

.PHONY: test
test: deps-test vet train-smoke race e2e ## everything CI runs, race detector included

.PHONY: deps-test
deps-test:
	@.ci/deps test

.PHONY: vet
vet:
	go vet $(PKGS)
	go vet -tags e2e ./daemon/... ./stream/...
	go vet -tags gpu ./infer/... ./daemon/...

.PHONY: race
race:
	CI=1 go test -race -timeout 20m $(PKGS)

# One package at a time (-p 1): they measure delays, and some keep every core busy on purpose.
.PHONY: e2e
e2e: build deps-test ## the built binary against real sockets, signals and JACK's dummy sound card
	CI=1 go test -tags e2e -p 1 -count 1 -timeout 15m -run 'E2E' -v ./daemon/... ./stream/... 2>&1 | grep -Ev '^(=== (RUN|PAUSE|CONT)|testing: warning: no tests to run|PASS$$)'

.PHONY: deps-gpu
deps-gpu: ## fetch ONNX Runtime's GPU build and TensorRT, for a machine with a GPU (3 GB)
	@.ci/deps-gpu

.PHONY: gpu-test
gpu-test: build ## engines, proof, precision, signals and the daemon on a machine with a GPU; skipped with the reason elsewhere
	@.ci/gpu test

.PHONY: gpu-bench
gpu-bench: build ## the figures of a GPU, into build/gpu/results.json
	@.ci/gpu bench

.PHONY: gpu-figures
gpu-figures: build/gpu/results.json ## the tables and plots of those figures, into daemon/docs/results
	go run ./daemon/autovoiced/gputest/figures $< daemon/docs/results

.PHONY: bench
bench: build ## the figures of the README, as a table, as JSON and as Go benchmarks
	$(BIN) bench
	$(BIN) bench --json
	go test -run '^$$' -bench . -benchmem -benchtime 200ms $(PKGS)

.PHONY: page-figures
page-figures: build deps-test ## the page's round trip, size and first paint in Chromium, into daemon/docs/results/page.md
	CI=1 AUTOVOICED_FIGURES="$(CURDIR)/daemon/docs/results" go test -tags e2e -count 1 -run 'E2EPageLive' -v ./daemon/autovoiced

.PHONY: firefox
firefox: build ## the page in Firefox: spoken on, heard, recorded, nothing on the console
	@.ci/deps firefox
	/usr/bin/python3 client/web/webtest/firefox.py $(BIN) $(PICTURES)

.PHONY: song-bench
song-bench: build ## how long songs take on one core, and what memory 3 and 60 minutes need (half an hour)
	AUTOVOICED_SONG_BENCH=1 GOMAXPROCS=1 taskset -c 0 go test -run '^$$' -bench Song -benchtime 1x ./daemon/song
	for minutes in 3 60; do AUTOVOICED_SONG_BENCH=1 go test -run '^$$' -bench "Memory/$${minutes}min" -benchtime 1x -timeout 2h ./daemon/song; done

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s)
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed 's/^\(.*\)\/[^/]*:func /\1 /' | sort -u | \
	while read -r pkg target; do \
	  echo "$$pkg $$target"; \
	  go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "$$pkg"; \
	done

# No file may name a folder of the machine it was written on.
.PHONY: lint
lint: $(LINTER) ## golangci-lint, shell syntax, formatting
	$(LINTER) run ./...
	$(LINTER) run --build-tags e2e ./daemon/... ./stream/...
	$(LINTER) run --build-tags gpu ./infer/... ./daemon/...
	for script in .ci/run .ci/deps .ci/deps-gpu .ci/gpu infer/train/*.sh; do bash -n $$script; done
	@! git grep -nE '(^|[^A-Za-z0-9_.~-])/(work|home|root)/' -- . || { echo 'lint: a file names a folder of one machine' >&2; exit 1; }

.PHONY: fmt
fmt: $(LINTER) ## gofumpt and sorted imports
	$(LINTER) fmt ./...

include infer/train/train.mk
include infer/train/evaluate/judge.mk
include infer/train/evaluate/separate/separate.mk

$(LINTER):
	@mkdir -p bin
	GOBIN="$(CURDIR)/bin/.lint" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	@mv bin/.lint/golangci-lint $@ && rmdir bin/.lint

.PHONY: clean
clean: ## remove what was built here; what was trained (build) and the cache folder with ONNX Runtime stay
	rm -rf bin build/train-smoke .cache validation_results
