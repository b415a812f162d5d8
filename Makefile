# `make check` is what a change must pass; CI runs .ci/run, which calls the same commands.

SWIFT ?= swift
SWIFT_SOURCES = Sources Demo Tests Package.swift Fuzz Benchmarks/Sources
TSAN_SCRATCH = .build-tsan
TORTURE_SCRATCH = .build-torture
TORTURE_ARGUMENTS ?= --seconds 7200
SYMBOL_GRAPHS = .build/symbol-graphs
STRESS_SECONDS ?= 180
STRESS_SEED ?= 1
DOCC = $(shell command -v docc 2>/dev/null)

.PHONY: check lint build test demo format docs bench tsan stress fuzz torture differential mutants

check: lint build test docs

lint:
	$(SWIFT) format lint --strict --recursive $(SWIFT_SOURCES)

build:
	$(SWIFT) build

test:
	$(SWIFT) test

demo:
	$(SWIFT) run -c release Demo

format:
	$(SWIFT) format --in-place --recursive $(SWIFT_SOURCES)

# Every public declaration's documentation must compile; the pages are in .build/docs, a folder a
# library.
docs:
ifeq ($(DOCC),)
	@echo "docs: skipped, this toolchain has no docc"
else
	set -e; for target in BTreeKVCodable Regions Vectors; do \
	  $(SWIFT) build --target $$target -Xswiftc -emit-symbol-graph \
	    -Xswiftc -emit-symbol-graph-dir -Xswiftc $(SYMBOL_GRAPHS)/all \
	    --scratch-path .build-docs; \
	done
	set -e; for module in BTreeKV BTreeKVCodable Regions Vectors; do \
	  rm -rf $(SYMBOL_GRAPHS)/$$module; mkdir -p $(SYMBOL_GRAPHS)/$$module .build/docs; \
	  cp $(SYMBOL_GRAPHS)/all/$$module.symbols.json $(SYMBOL_GRAPHS)/$$module/; \
	  for graph in $(SYMBOL_GRAPHS)/all/$$module@*.symbols.json; do \
	    if [ -e "$$graph" ]; then cp "$$graph" $(SYMBOL_GRAPHS)/$$module/; fi; \
	  done; \
	  $(DOCC) convert --additional-symbol-graph-dir $(SYMBOL_GRAPHS)/$$module \
	    --fallback-display-name $$module --fallback-bundle-identifier org.btreekv.$$module \
	    --output-path .build/docs/$$module --warnings-as-errors; \
	done
endif

# The comparison with other engines: see Benchmarks/README.md.
bench:
	Benchmarks/compare

# Optimistic reads race by design; with shared latches ThreadSanitizer can check all the rest. One test
# at a time: each has threads enough of its own, and many more only wait for each other. The stress
# runs in a release build too, where more happens at once; a race makes its status 66.
tsan:
	SHARED_LATCHES=1 BTREEKV_TSAN=1 $(SWIFT) test --sanitize=thread --scratch-path $(TSAN_SCRATCH) \
	  --no-parallel --filter 'ThreadTests|ThreadsTests|LinearizabilityTests|ContentStressTests'
	SHARED_LATCHES=1 BTREEKV_TSAN=1 $(SWIFT) run -c release --sanitize=thread \
	  --scratch-path $(TSAN_SCRATCH) Stress --seconds 20

# Optimistic reads under load, every answer checked, in a release build: races hardly show in debug.
# STRESS_SEED repeats the rounds of a run.
stress:
	$(SWIFT) run -c release Stress --seconds $(STRESS_SECONDS) --seed $(STRESS_SEED)

# Hostile bytes with right checksums, FUZZ_SECONDS a target: see Fuzz/run.
FUZZ_SECONDS ?= 20
fuzz:
	Fuzz/build
	FUZZ_SECONDS=$(FUZZ_SECONDS) Fuzz/run

# Crashes at any instant, as many as there is time for: TORTURE_ARGUMENTS='--seed 1000 --seconds 36000'.
torture:
	$(SWIFT) build -c release --product Torture --scratch-path $(TORTURE_SCRATCH)
	$(TORTURE_SCRATCH)/release/Torture $(TORTURE_ARGUMENTS)

# The same random histories on BTreeKV and on the system's SQLite (libsqlite3-dev), for so many
# seconds: see Benchmarks/README.md.
DIFFERENTIAL_SECONDS ?= 30
differential:
	$(SWIFT) run -c release --package-path Benchmarks differential $(DIFFERENTIAL_SECONDS)

# Each rule of the engine switched off in turn: some test must find the loss. See Tests/Mutants/run.
mutants:
	Tests/Mutants/run $(MUTANT_ARGUMENTS)
