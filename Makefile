# The front door. Everything is built by Meson; each target is a line or two.
BUILD := build
JOBS := $(shell nproc)
PREFIX := /usr/local
# A prefix on the command line is meant for a build that is configured already, too.
PREFIX_GIVEN := $(filter-out file,$(origin PREFIX))

.PHONY: build run check lint bench install clean help

build:
	@scripts/setup
	@test -e $(BUILD)/build.ninja || meson setup $(BUILD) --prefix $(PREFIX)
	@$(if $(PREFIX_GIVEN),meson configure $(BUILD) --prefix $(PREFIX))
	@ninja -C $(BUILD) -j $(JOBS)

run: build
	$(BUILD)/weir bench

check:
	@scripts/check

lint:
	@scripts/lint

bench: build
	@scripts/bench $(BUILD)

install: build
	meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf build build-asan build-tsan build-fuzz build-bare

help:
	@echo 'make          build $(BUILD)/weir and the libraries'
	@echo 'make run      build, and measure this host: $(BUILD)/weir bench'
	@echo 'make check    build and run every test; the last line is the count'
	@echo 'make lint     format, static analysis, laws'
	@echo 'make bench    the micro-benchmarks of bench/'
	@echo 'make install  into PREFIX ($(PREFIX)); DESTDIR is honoured'
	@echo 'make clean    remove what was built'
