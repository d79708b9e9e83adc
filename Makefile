# armvmd. `make help` lists the targets.
#
# Every folder names its sources in its own sources.mk:
#   SRCS      built for every machine, into libarmvm.a
#   ARM_SRCS  only for AArch64 (the KVM API of that architecture)
#   TESTS     unit tests, one program each
# and `make lint` checks that no source is left out.
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

ARCH_HERE := $(shell uname -m)
VARIANT ?= native

SRCS :=
ARM_SRCS :=
TESTS :=
include $(sort $(wildcard lib/*/sources.mk)) \
	$(sort $(wildcard vmm-kvm/sources.mk vmm-kvm/devices/sources.mk)) \
	$(sort $(wildcard supervisor/sources.mk store/sources.mk)) \
	$(sort $(wildcard api/sources.mk daemon/sources.mk cli/sources.mk))

O := build/$(VARIANT)
PROGRAMS := armvmd armvmctl armvm-supervisor
MAIN_armvmd := daemon/main.c
MAIN_armvmctl := cli/main.c
MAIN_armvm-supervisor := supervisor/main.c
LIBS_armvmd := libuv json-c sqlite3 libsystemd
LIBS_armvmctl := json-c smartcols libuv
LIBS_armvm-supervisor := libuv json-c liburing libseccomp
LIBS_test := libuv json-c sqlite3 libsystemd liburing libseccomp smartcols \
	cmocka

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
ifeq ($(TARGET_ARCH),aarch64)
SRCS += $(ARM_SRCS)
HARDEN := -mbranch-protection=standard
else
HARDEN := -fcf-protection
endif

WARN := -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes \
	-Wstrict-prototypes -Wold-style-definition -Wpointer-arith -Wvla \
	-Wwrite-strings -Wformat=2 -Wno-unused-parameter \
	-Wno-missing-field-initializers -Wno-format-nonliteral
HARDEN += -fstack-protector-strong -fstack-clash-protection -fPIE
VERSION := 0.1.0
CPPFLAGS := -D_GNU_SOURCE -DARMVM_VERSION=\"$(VERSION)\" -I. -I$(O)/gen
CFLAGS := -std=gnu11 -g $(WARN) -MMD -MP
LDFLAGS += -pie -Wl,-z,relro,-z,now -Wl,--as-needed
# Sanitizers intercept what FORTIFY rewrites, so the two do not mix.
ifeq ($(VARIANT),san)
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(VARIANT),tsan)
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS += -fsanitize=thread
else
CFLAGS += -O2 -D_FORTIFY_SOURCE=2
endif
CFLAGS += $(HARDEN)
ALL_LIBS := libuv json-c sqlite3 libsystemd liburing libseccomp smartcols
CPPFLAGS += $(shell $(PKG_CONFIG) --cflags $(ALL_LIBS))

MAINS := $(foreach p,$(PROGRAMS),$(MAIN_$(p)))
OBJS := $(SRCS:%.c=$(O)/%.o)
BINS := $(PROGRAMS:%=$(O)/bin/%)
TEST_BINS := $(TESTS:tests/unit/%.c=$(O)/tests/%)

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
$(O)/bin/$(1): $(O)/$(MAIN_$(1):.c=.o) $(O)/libarmvm.a
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(LDFLAGS) -o $$@ $$^ \
		$$(shell $$(PKG_CONFIG) --libs $$(LIBS_$(1))) -lfdt -lpthread
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

$(O)/tests/%: $(O)/tests/unit/%.o $(O)/libarmvm.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) -o $@ $^ \
		$(shell $(PKG_CONFIG) --libs $(LIBS_test)) -lfdt -lpthread

.PHONY: unit-tests
unit-tests: $(TEST_BINS)

-include $(OBJS:.o=.d) $(MAINS:%.c=$(O)/%.d) \
	$(TESTS:%.c=$(O)/%.d)

.PHONY: clean
clean:
	rm -rf build
