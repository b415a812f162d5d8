# `make check` is what a change must pass; CI runs .ci/run, which calls the same commands.

SWIFT ?= swift
SWIFT_SOURCES = Sources Demo Tests Package.swift
TSAN_SCRATCH = .build-tsan
SYMBOL_GRAPHS = .build/symbol-graphs
DOCC = $(shell command -v docc 2>/dev/null)

.PHONY: check lint build test demo format docs bench tsan

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

# Every public declaration's documentation must compile; the pages are in .build/docs.
docs:
ifeq ($(DOCC),)
	@echo "docs: skipped, this toolchain has no docc"
else
	$(SWIFT) build --target BTreeKV -Xswiftc -emit-symbol-graph \
	  -Xswiftc -emit-symbol-graph-dir -Xswiftc $(SYMBOL_GRAPHS)/all \
	  --scratch-path .build-docs
	rm -rf $(SYMBOL_GRAPHS)/BTreeKV && mkdir -p $(SYMBOL_GRAPHS)/BTreeKV
	cp $(SYMBOL_GRAPHS)/all/BTreeKV*.symbols.json $(SYMBOL_GRAPHS)/BTreeKV/
	$(DOCC) convert --additional-symbol-graph-dir $(SYMBOL_GRAPHS)/BTreeKV \
	  --fallback-display-name BTreeKV --fallback-bundle-identifier org.btreekv.BTreeKV \
	  --output-path .build/docs --warnings-as-errors
endif

# The comparison with other engines: see Benchmarks/README.md.
bench:
	Benchmarks/compare

# Optimistic reads race by design; with shared latches ThreadSanitizer can check all the rest.
tsan:
	SHARED_LATCHES=1 BTREEKV_TSAN=1 $(SWIFT) test --sanitize=thread \
	  --scratch-path $(TSAN_SCRATCH) --filter 'ThreadTests|ThreadsTests'
