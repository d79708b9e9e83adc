# armvmd. `make help` lists the targets.
#
# Every folder names its sources in its own sources.mk:
#   SRCS      built for every machine, into libarmvm.a
#   ARM_SRCS  only for AArch64 (the KVM API of that architecture)
#   XEN_SRCS  only where Xen's libraries are (libxen-dev)
#   TESTS     unit tests, one program each; XEN_TESTS likewise
# and `make lint` checks that no source is left out.
MAKEFLAGS += --no-builtin-rules
# Objects of tests are kept: the next run builds only what changed.
.SECONDARY:
SHELL := /bin/bash

ARCH_HERE := $(shell uname -m)
VARIANT ?= native

SRCS :=
ARM_SRCS :=
XEN_SRCS :=
TESTS :=
XEN_TESTS :=
TOOLS :=
include $(sort $(wildcard lib/*/sources.mk)) \
	$(sort $(wildcard vmm-kvm/sources.mk vmm-kvm/devices/sources.mk)) \
	$(sort $(wildcard vmm-xen/sources.mk)) \
	$(sort $(wildcard supervisor/sources.mk store/sources.mk)) \
	$(sort $(wildcard api/sources.mk daemon/sources.mk cli/sources.mk))

O := build/$(VARIANT)
PROGRAMS := armvmd armvmctl armvm-supervisor armvm-apidoc
MAIN_armvmd := daemon/main.c
MAIN_armvmctl := cli/main.c
MAIN_armvm-supervisor := supervisor/main.c
# The same program with another table of backends: one for guests on KVM has
# no library of Xen's in it.
MAIN_armvm-supervisor-xen := supervisor/main.c
MORE_armvm-supervisor-xen := supervisor/backends_xen.c
# Prints api/API.md from the table of methods; not installed.
MAIN_armvm-apidoc := api/apidoc_main.c
LIBS_armvm-apidoc := json-c libuv
LIBS_armvmd := libuv json-c sqlite3 libsystemd zlib libzstd libwebsockets \
	openssl
LIBS_armvmctl := json-c libuv
LIBS_armvm-supervisor := libuv json-c liburing libseccomp zlib libzstd
LIBS_armvm-supervisor-xen := $(LIBS_armvm-supervisor) xenlight xenstore \
	xencontrol
# libxenstore cancels its thread, for which the C library loads this one: in
# the sandbox there is no file any more.
LINK_armvm-supervisor-xen := -Wl,--push-state,--no-as-needed -lgcc_s \
	-Wl,--pop-state
LIBS_test := libuv json-c sqlite3 libsystemd liburing libseccomp \
	zlib libzstd libwebsockets openssl cmocka

CC := gcc
PKG_CONFIG := pkg-config
TARGET_ARCH := $(ARCH_HERE)
ifeq ($(VARIANT),aarch64)
TARGET_ARCH := aarch64
ifneq ($(ARCH_HERE),aarch64)
SYSROOT := $(shell tests/host/sysroot)
ifeq ($(SYSROOT),)
$(error the AArch64 sysroot could not be made; see above)
endif
CC := aarch64-linux-gnu-gcc --sysroot=$(SYSROOT)
PKG_CONFIG := PKG_CONFIG_SYSROOT_DIR=$(SYSROOT) \
	PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/aarch64-linux-gnu/pkgconfig:$(SYSROOT)/usr/share/pkgconfig \
	pkg-config
LDFLAGS += -Wl,-rpath-link,$(SYSROOT)/usr/lib/aarch64-linux-gnu \
	-Wl,-rpath-link,$(SYSROOT)/lib/aarch64-linux-gnu
endif
endif
ifeq ($(shell $(PKG_CONFIG) --exists xenlight xenstore xencontrol 2>/dev/null && echo y),y)
SRCS += $(XEN_SRCS)
TESTS += $(XEN_TESTS)
PROGRAMS += armvm-supervisor-xen
LIBS_test += xenlight xenstore xencontrol
XEN_VERSION := $(shell $(PKG_CONFIG) --modversion xenlight | cut -d. -f1-2)
XEN_FLAGS := -DARMVM_XEN_VERSION=\"$(XEN_VERSION)\"
endif
ifeq ($(TARGET_ARCH),aarch64)
SRCS += $(ARM_SRCS)
# Developer's tools on the KVM API; not installed.
PROGRAMS += $(TOOLS)
HARDEN := -mbranch-protection=standard
else
HARDEN := -fcf-protection
endif

ifeq ($(VARIANT),fuzz)
CC := clang-14
# GCC's names of warnings; and a header of the kernel that ends in an array.
WARN_FUZZ := -Wno-unknown-warning-option \
	-Wno-gnu-variable-sized-type-not-at-end
endif

# maybe-uninitialized takes "outputs untouched on failure" for a bug.
WARN := -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes \
	-Wstrict-prototypes -Wold-style-definition -Wpointer-arith -Wvla \
	-Wwrite-strings -Wformat=2 -Wno-unused-parameter \
	-Wno-missing-field-initializers -Wno-format-nonliteral \
	-Wno-maybe-uninitialized $(WARN_FUZZ)
HARDEN += -fstack-protector-strong -fstack-clash-protection -fPIE
VERSION := 0.1.0
CPPFLAGS := -D_GNU_SOURCE -DARMVM_VERSION=\"$(VERSION)\" -I. -I$(O)/gen
CPPFLAGS += $(XEN_FLAGS)
CFLAGS := -std=gnu11 -g $(WARN) -MMD -MP
CPPFLAGS += -DARMVM_LIBEXEC_DIR=\"$(or $(PREFIX),/usr/local)/libexec/armvmd\"
LDFLAGS += -pie -Wl,-z,relro,-z,now -Wl,--as-needed
# Sanitizers intercept what FORTIFY rewrites, so the two do not mix.
ifeq ($(VARIANT),san)
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(VARIANT),tsan)
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS += -fsanitize=thread
else ifeq ($(VARIANT),fuzz)
CFLAGS += -O1 -fno-omit-frame-pointer \
	-fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=fuzzer,address,undefined
else
CFLAGS += -O2 -D_FORTIFY_SOURCE=2
endif
CFLAGS += $(HARDEN)
ALL_LIBS := libuv json-c sqlite3 libsystemd liburing libseccomp \
	zlib libzstd libwebsockets openssl
# Silent where pkg-config is missing: `make deps` must work then, too.
CPPFLAGS += $(shell $(PKG_CONFIG) --cflags $(ALL_LIBS) 2>/dev/null)

MAINS := $(foreach p,$(PROGRAMS),$(MAIN_$(p)) $(MORE_$(p)))
OBJS := $(SRCS:%.c=$(O)/%.o)
BINS = $(PROGRAMS:%=$(O)/bin/%)
TEST_BINS := $(TESTS:tests/unit/%.c=$(O)/tests/%)
# One target per file; only VARIANT=fuzz links them.
FUZZERS := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BINS := $(FUZZERS:tests/fuzz/%.c=$(O)/fuzz/%)

# Quiet by default, V=1 shows every command.
ifeq ($(V),1)
Q :=
else
Q := @
say = @printf '  %-7s %s\n' '$(1)' '$(2)';
endif

.PHONY: all
all: $(BINS)

$(O)/libarmvm.a: $(OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcsD $@ $(OBJS)

$(O)/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

define program
$(O)/bin/$(1): $(O)/$(MAIN_$(1):.c=.o) $(patsubst %.c,$(O)/%.o,$(MORE_$(1))) \
		$(O)/libarmvm.a
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(LDFLAGS) -o $$@ $$^ \
		$$(shell $$(PKG_CONFIG) --libs $$(LIBS_$(1))) -lfdt -lpthread \
		$$(LINK_$(1))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

$(O)/tests/%: $(O)/tests/unit/%.o $(O)/libarmvm.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) -o $@ $^ \
		$(shell $(PKG_CONFIG) --libs $(LIBS_test)) -lfdt -lpthread

$(O)/fuzz/%: $(O)/tests/fuzz/%.o $(O)/libarmvm.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) -o $@ $^ \
		$(shell $(PKG_CONFIG) --libs $(LIBS_test)) -lfdt -lpthread

# A guest of the tests on KVM: no program of any machine, a kernel of its own.
HAMMER := $(O)/guest/hammer_map.img
OBJCOPY := $(if $(SYSROOT),aarch64-linux-gnu-objcopy,objcopy)
$(HAMMER): tests/e2e/kvm/hammer_map.c tests/e2e/kvm/hammer_map.lds
	$(call say,GUEST,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu11 -O2 -Wall -Wextra -Werror \
		-ffreestanding -nostdlib -static -fpie -fno-stack-protector \
		-mgeneral-regs-only -mstrict-align -mbranch-protection=none \
		-fno-asynchronous-unwind-tables -Wl,--build-id=none \
		-Wl,-T,tests/e2e/kvm/hammer_map.lds -o $(@:.img=.elf) $< && \
		$(OBJCOPY) -O binary $(@:.img=.elf) $@
ifeq ($(TARGET_ARCH),aarch64)
all: $(HAMMER)
endif

.PHONY: unit-tests fuzzers
unit-tests: $(TEST_BINS)
fuzzers: $(FUZZ_BINS)

-include $(OBJS:.o=.d) $(MAINS:%.c=$(O)/%.d) \
	$(TESTS:%.c=$(O)/%.d) $(FUZZERS:%.c=$(O)/%.d)

# ---- what people call ------------------------------------------------------

.PHONY: help
help:
	@echo "make              build for this machine (build/native/bin)"
	@echo "make VARIANT=aarch64   cross build (build/aarch64/bin)"
	@echo "make demo         the main job, shown: an image boots, a variable stays"
	@echo "                  (HYPERVISOR=xen: a kernel, as a Xen domain)"
	@echo "make check        all tests; check-unit: the quick loop, under a minute"
	@echo "make bench-api    figures of the control plane (build/bench/api.json)"
	@echo "make bench-vm     the VM beside QEMU, in the ARM host; ROWS= chooses"
	@echo "make bench-xen    the Xen backend beside xl; SECTIONS= chooses"
	@echo "make fuzz         all fuzz targets, FUZZ_SECONDS (60) each; check has a brief run"
	@echo "make lint         the project's own rules"
	@echo "make install      into DESTDIR and PREFIX (/usr/local)"
	@echo "make deps         install what a Debian 12 machine lacks to do the above"
	@echo "make shell        a shell in the (emulated) ARM host, programs inside"

.PHONY: deps
deps:
	@tests/host/deps

.PHONY: check-unit check-native check-host check lint
TOTALS := build/check/totals.json

# A sub-make, since the packages a build needs come with `deps`.
check-unit: deps
	@mkdir -p build/check
	@$(MAKE) --no-print-directory -j$(shell nproc) VARIANT=san unit-tests
	@$(MAKE) --no-print-directory VARIANT=san run-unit

.PHONY: run-unit
run-unit:
	@echo "Unit tests, with address and undefined behaviour sanitizers:"
	@tests/check $(if $(TOTALS_FILE),--totals $(TOTALS_FILE)) --timeout 60 \
		$(foreach t,$(TEST_BINS),$(t) --and)

.PHONY: check-fuzz fuzz
FUZZ_SECONDS ?= 60

check-fuzz: deps
	@mkdir -p build/check
	@$(MAKE) --no-print-directory -j$(shell nproc) VARIANT=fuzz fuzzers
	@echo "Fuzz targets, briefly:"
	@tests/check $(if $(TOTALS_FILE),--totals $(TOTALS_FILE)) --stream \
		--timeout 400 tests/fuzz/run --fresh --seconds 6 --runs 20000

fuzz: deps
	@$(MAKE) --no-print-directory -j$(shell nproc) VARIANT=fuzz fuzzers
	@tests/fuzz/run --seconds $(FUZZ_SECONDS) $(FUZZ_TARGETS)

check-native: deps
	@mkdir -p build/check
	@$(MAKE) --no-print-directory -j$(shell nproc) VARIANT=native all
	@$(MAKE) --no-print-directory -j$(shell nproc) VARIANT=san all
	@echo "Control plane on the null backend, sanitized:"
	@ARMVM_BIN=$(CURDIR)/build/san/bin tests/check \
		$(if $(TOTALS_FILE),--totals $(TOTALS_FILE)) --timeout 300 \
		$(foreach t,$(sort $(wildcard tests/e2e/test_*.py)),$(t) --and)

check-host: deps
	@mkdir -p build/check
	@$(MAKE) --no-print-directory -j$(shell nproc) VARIANT=aarch64 all
	@tests/host/guest >/dev/null
	@echo "On KVM, in the ARM host:"
	@tests/check $(if $(TOTALS_FILE),--totals $(TOTALS_FILE)) --stream \
		--timeout 2400 tests/host/run --timeout 2300 -- tests/e2e/kvm/all
	@echo "On a host with a GICv2:"
	@tests/check $(if $(TOTALS_FILE),--totals $(TOTALS_FILE)) --stream \
		--timeout 900 tests/host/run --cpu cortex-a57 --gic 2 \
		--timeout 800 -- tests/e2e/kvm/all gicv2 matrix
	@echo "On a host with AArch32 and a GICv3:"
	@tests/check $(if $(TOTALS_FILE),--totals $(TOTALS_FILE)) --stream \
		--timeout 900 tests/host/run --cpu cortex-a57 --timeout 800 \
		--env ARMVM_MATRIX=aarch32 -- tests/e2e/kvm/all aarch32 matrix
	@echo "On a host with SVE, pointer authentication and memory tagging:"
	@tests/check $(if $(TOTALS_FILE),--totals $(TOTALS_FILE)) --stream \
		--timeout 400 tests/host/run --cpu max,pauth-impdef=on \
		--mte --timeout 300 -- tests/e2e/kvm/all features
	@echo "On Xen:"
	@tests/check $(if $(TOTALS_FILE),--totals $(TOTALS_FILE)) --stream \
		--timeout 2000 tests/host/run --xen --timeout 1900 -- \
		tests/e2e/xen/all
	@echo "On Xen with a GICv2:"
	@tests/check $(if $(TOTALS_FILE),--totals $(TOTALS_FILE)) --stream \
		--timeout 600 tests/host/run --xen --gic 2 --timeout 500 -- \
		tests/e2e/xen/all gicv2
	@echo "As a service in dom0:"
	@tests/check $(if $(TOTALS_FILE),--totals $(TOTALS_FILE)) --stream \
		--timeout 600 tests/host/run --xen --systemd --timeout 500 -- \
		tests/e2e/xen/all unit
	@tests/check $(if $(TOTALS_FILE),--totals $(TOTALS_FILE)) --stream \
		--timeout 600 tests/host/run --systemd --timeout 500 -- \
		tests/e2e/systemd
	@tests/check $(if $(TOTALS_FILE),--totals $(TOTALS_FILE)) \
		--timeout 600 tests/e2e/device_tree

check: deps
	@mkdir -p build/check && rm -f $(TOTALS)
	@status=0; \
	$(MAKE) --no-print-directory lint || status=1; \
	for part in check-unit check-fuzz check-native check-host; do \
		$(MAKE) --no-print-directory $$part TOTALS_FILE=$(TOTALS) \
			|| status=1; \
	done; \
	tests/check --sum $(TOTALS) || status=1; exit $$status

lint: deps
	@$(MAKE) --no-print-directory -j$(shell nproc) VARIANT=native all
	@tests/lint/run

# The control plane's figures, natively, beside libvirt's (installed by this
# target alone, run in directories of its own); not part of check: a figure is
# only worth something on a machine that does nothing else.
.PHONY: bench bench-api
bench: bench-api

bench-api: deps
	@tests/host/deps --peer || echo "bench-api: libvirt is not measured"
	@$(MAKE) --no-print-directory -j$(shell nproc) VARIANT=native all
	@tests/bench/api --out build/bench/api.json

# ROWS="disk boot-uefi" chooses; see tests/bench/README.md.
.PHONY: bench-vm
bench-vm: deps
	@$(MAKE) --no-print-directory VARIANT=aarch64
	@tests/bench/vm --out build/bench/vm.json $(ROWS)

# SECTIONS="create attach" chooses.
.PHONY: bench-xen
bench-xen: deps
	@$(MAKE) --no-print-directory VARIANT=aarch64
	@tests/bench/xen --out build/bench/xen.json $(SECTIONS)

# HYPERVISOR=xen: the same in the emulated Xen host.
.PHONY: demo shell
demo: deps
	@tests/demo $(HYPERVISOR)

shell: deps
	@$(MAKE) --no-print-directory -j$(shell nproc) VARIANT=aarch64 all
	@tests/host/run $(if $(filter xen,$(HYPERVISOR)),--xen)

PREFIX ?= /usr/local
# The bus and polkit look for these below /usr alone, whatever PREFIX is.
DBUS_DIR ?= /usr/share/dbus-1
POLKIT_DIR ?= /usr/share/polkit-1/actions
LIBEXEC := $(PREFIX)/libexec/armvmd
MAN := $(PREFIX)/share/man

.PHONY: install
install: all
	install -D -m 0755 $(O)/bin/armvmd $(DESTDIR)$(PREFIX)/sbin/armvmd
	install -D -m 0755 $(O)/bin/armvmctl $(DESTDIR)$(PREFIX)/bin/armvmctl
	install -D -m 0755 $(O)/bin/armvm-supervisor \
		$(DESTDIR)$(LIBEXEC)/armvm-supervisor
	$(if $(XEN_FLAGS),install -m 0755 $(O)/bin/armvm-supervisor-xen \
		$(DESTDIR)$(LIBEXEC)/armvm-supervisor-xen)
	install -D -m 0644 daemon/armvmd.8 $(DESTDIR)$(MAN)/man8/armvmd.8
	install -D -m 0644 daemon/armvmd.conf.5 \
		$(DESTDIR)$(MAN)/man5/armvmd.conf.5
	install -D -m 0644 daemon/armvm.json.5 $(DESTDIR)$(MAN)/man5/armvm.json.5
	install -D -m 0644 cli/armvmctl.1 $(DESTDIR)$(MAN)/man1/armvmctl.1
	install -D -m 0644 cli/armvmctl.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/armvmctl
	install -D -m 0644 cli/armvmctl.zsh \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_armvmctl
	install -D -m 0644 cli/armvmctl.fish \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/armvmctl.fish
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system \
		units/armvmd.service units/armvmd.socket units/armvm.slice \
		units/armvm@.service
	install -D -m 0644 units/armvmd.sysusers \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d/armvmd.conf
	install -D -m 0644 units/armvmd.tmpfiles \
		$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/armvmd.conf
	install -D -m 0644 -t $(DESTDIR)$(DBUS_DIR)/system.d \
		units/org.armvmd1.conf
	install -D -m 0644 -t $(DESTDIR)$(DBUS_DIR)/system-services \
		units/org.armvmd1.service
	install -D -m 0644 -t $(DESTDIR)$(POLKIT_DIR) units/org.armvmd1.policy

.PHONY: clean
clean:
	rm -rf build
