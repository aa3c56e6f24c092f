# Everything a person does with this repository. `make` alone explains. Needs GNU make, a POSIX shell and Rust.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help build web screenshots install uninstall setup demo test test-escape test-api test-model test-vm chaos bench miniwob fmt clean packages

CARGO ?= cargo
# /usr/local for root, ~/.local for everybody else.
PREFIX ?= $(shell if [ "$$(id -u)" = 0 ]; then echo /usr/local; else echo "$$HOME/.local"; fi)
BIN = $(DESTDIR)$(PREFIX)/bin
# The version that the tests are known to run with; only fetched when there is none.
NEXTEST = 0.9.143
POINTS ?= 300
SEED ?=
SEEDS ?= 1-5
SUITE ?=
# What is built for the attacks on the computer; continuous integration, which needs the rest anyway, builds it once.
BUILT_WITH ?= --package sandbox

help: ## What can be done here
	@echo 'Thenar: an agent that its operator owns. Try it: make demo (no key and no network needed once it is built).'
	@echo
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | \
	    while IFS='|' read -r target text; do printf '%-16s %s\n' "$$target" "$$text"; done
	@echo
	@echo 'Variables: PREFIX=$(PREFIX) (install), POINTS=$(POINTS) SEED= (chaos), SEEDS=$(SEEDS) (miniwob), INSTALL=no (list missing packages, install none)'

build: ## Build target/release/thenar (with the web app, where there is Node) and target/release/thenar-keeper
	@sh scripts/web.sh if-there
	@$(CARGO) build --release --locked --package cli --package sandbox --bins
	@echo 'built: target/release/thenar and target/release/thenar-keeper'

web: ## Build the web app into web/dist (needs Node.js 20.19 or newer)
	@sh scripts/web.sh need

screenshots: packages web ## Make pictures of every screen of the app, of a run of the demo: web/tests/out
	@$(CARGO) build --locked --package cli --package sandbox --bins
	@cd web && npm run --silent screenshots

install: build ## Put both programs under PREFIX/bin
	@mkdir -p '$(BIN)'
	@install -m 0755 target/release/thenar target/release/thenar-keeper '$(BIN)/'
	@echo 'installed: $(BIN)/thenar and $(BIN)/thenar-keeper'
	@case ":$$PATH:" in *":$(PREFIX)/bin:"*) echo 'next: thenar setup && thenar doctor' ;; \
	    *) echo 'note: $(PREFIX)/bin is not on your PATH: export PATH="$(PREFIX)/bin:$$PATH"' ;; esac

uninstall: ## Take both programs away again; data stays
	@rm -f '$(BIN)/thenar' '$(BIN)/thenar-keeper'
	@echo 'removed: $(BIN)/thenar and $(BIN)/thenar-keeper (tasks stay in THENAR_HOME)'

setup: packages build ## Install what the agent's computer works with: Debian packages, then the Python toolset
	@target/release/thenar setup

demo: packages build ## Install, build, and watch the main job: plan, analyse, write, check, deliver, survive
	@target/release/thenar setup
	@target/release/thenar demo

packages:
	@INSTALL='$(INSTALL)' sh scripts/packages.sh

test: packages ## Everything a reviewer would check: format, tidy, lints, documents' scripts, doctests, all tests
	@$(CARGO) nextest --version >/dev/null 2>&1 || { \
	    echo 'installing the test runner: cargo-nextest $(NEXTEST) (once, some minutes)'; \
	    $(CARGO) install --locked --version $(NEXTEST) cargo-nextest; }
	@echo '== format'
	@$(CARGO) fmt --all -- --check
	@echo '== tidy'
	@$(CARGO) run --locked --quiet --package xtask -- tidy
	@echo '== lints'
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@echo '== toolset'
	@sh toolset/setup.sh
	@echo '== scripts'
	@sh scripts/check-scripts.sh
	@echo '== web app'
	@sh scripts/web.sh need
	@cd web && npm run --silent check && npm run --silent test
	@echo '== programs'
	@$(CARGO) build --locked --workspace --bins
	@echo '== web app in a browser'
	@cd web && npm run --silent pages
	@echo '== the HTTP API, attacked by its own document'
	@sh scripts/test-api.sh target/debug/thenar
	@echo '== examples in the documentation'
	@$(CARGO) test --locked --quiet --workspace --doc
	@echo '== tests'
	@TOOLSET_REQUIRED=1 $(CARGO) nextest run --locked --workspace

test-escape: packages ## Attack the computer from inside, the long way: bombs, floods, races, in all its kinds (minutes)
	@$(CARGO) nextest run --locked $(BUILT_WITH) --profile escape

test-api: packages ## Attack the HTTP API by its own document, docs/openapi.json (SECONDS_MAX=400 EXAMPLES=40: longer)
	@$(CARGO) build --locked --package cli --package sandbox --bins
	@sh scripts/test-api.sh target/debug/thenar

test-model: build ## Run Thenar against a real, very small model on this machine (minutes; 98 MB)
	@sh scripts/test-model.sh target/release/thenar

test-vm: ## Run Thenar in a guest with systemd, control groups v2 and AppArmor (QEMU; minutes, without KVM a quarter of an hour)
	@SUITE='$(SUITE)' sh scripts/test-vm.sh

chaos: build ## Kill the engine at POINTS random moments of real tasks; nothing may be lost or done twice
	@$(CARGO) build --release --locked --package testkit --bins
	@$(CARGO) run --release --locked --quiet --package xtask -- chaos --points $(POINTS) $(if $(SEED),--seed $(SEED))

bench: build ## Measure the release build against its targets, beside runc, bubblewrap and git: one table
	@INSTALL='$(INSTALL)' BESIDE='runc git' sh scripts/packages.sh
	@$(CARGO) build --release --locked --package testkit --bins
	@$(CARGO) run --release --locked --quiet --package xtask -- bench

miniwob: packages ## Work 41 kinds of small web pages (MiniWoB++) by scripted oracles through the browser's tools
	@$(CARGO) run --release --locked --quiet --package xtask -- miniwob --oracle bench/miniwob/oracle.json --seeds $(SEEDS) \
	    --pages "$$(sh scripts/miniwob.sh)"

fmt: ## Format all Rust code
	@$(CARGO) fmt --all

clean: ## Remove what was built; tasks and the toolset stay
	@$(CARGO) clean
