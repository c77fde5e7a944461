# Each target does the set-up it needs. What they install or start is in tests/scripts.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo build deb test test-kubernetes lint bench fuzz clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Run a batch spec on three small repositories and show the diffs
	@examples/demo/run

build: ## Build the release binary: target/release/capstan
	cargo build --release --locked -p capstan

deb: ## Build the Debian package: target/debian/capstan_*.deb
	@tests/scripts/deb

test: ## Run every test, the end-to-end ones on a real container engine
	@tests/scripts/test

test-kubernetes: ## Run the tests of jobs as pods on the cluster that KUBECONFIG names
	@tests/scripts/kubernetes

lint: ## Check formatting, lints, scripts, and the licences and sources of dependencies
	@tests/scripts/lint

bench: ## Measure against the goals in tests/bench/README.md
	@tests/scripts/bench

fuzz: ## Fuzz each parser for SECONDS seconds (default 30); needs nightly and cargo-fuzz
	@tests/fuzz/run $(or $(SECONDS),30)

clean: ## Stop what the scripts started and delete what was built
	@tests/scripts/registry stop
	@tests/scripts/podman stop
	@tests/scripts/reflink stop
	@tests/scripts/docker-engine stop
	cargo clean
