# Gamekeeper. `make help` lists what there is.
#
# demo, run and test get what is missing and say so: as root on Debian they install docker.io and
# postgresql and start dockerd by hand; where Docker answers they leave it alone and need no root.

SHELL := /bin/bash
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)
# Docker is the bottleneck of most tests; more of them side by side only makes each slower.
export RUST_TEST_THREADS ?= 4
export PROPTEST_CASES ?= 500

.DEFAULT_GOAL := help
.PHONY: help build engine-image demo run test soak check unit bench schema docker clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## target/release/gamekeeper
	cargo build --release --locked

engine-image: docker ## gamekeeper/reference-engine:1.4.1, 1.4.2 and 1.5.0, built here
	tests/support/engine-image.sh

demo: ## three games from manifests, an engine killed and healed; ends by itself
	manifests/demo/demo.sh demo

run: ## the demo's games on a controller that stays in the foreground (Ctrl-C ends it)
	manifests/demo/demo.sh run

test: check docker engine-image unit ## everything: format, lints, layering, unit, property and integration tests

soak: docker engine-image ## ten minutes of two controllers, PostgreSQL, a pooler and a lobby under random blows (GAMEKEEPER_SOAK_SECONDS)
	tests/support/postgres.sh ensure
	GAMEKEEPER_SOAK_SECONDS=$${GAMEKEEPER_SOAK_SECONDS:-600} cargo test --locked --workspace --test postgres chaos:: -- --nocapture

check: ## format, lints, layering and the table of faults alone
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	tests/support/layering.sh
	tests/support/fault-table.sh

unit:
	@tests/support/run-tests.sh $(NEXTEST)

bench: docker engine-image ## the README's figures: healing, applying and patching, each beside bare Docker
	cargo bench --locked --bench healing
	cargo bench --locked --bench applying
	cargo bench --locked --bench patching

schema: ## the manifests' JSON Schema
	@cargo run --quiet --release --locked -- schema

docker:
	@tests/support/docker.sh ensure

clean: ## build products and the demo's data; no image, no container
	cargo clean
	rm -rf .gamekeeper
