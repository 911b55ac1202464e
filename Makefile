# SPDX-License-Identifier: LGPL-2.1-or-later
# vnetd: `make` builds, `make demo` shows it at work, `make check` proves it, `make help` lists the rest.
#
# One makefile, no recursion into folders: what a folder holds is what gets built. Options:
#	V=1				print the commands
#	SAN=address,undefined		sanitizer build, in a folder of its own (also SAN=thread)
#	O=DIR				build there, instead of build/O or build/san-...
#	DESTDIR= prefix= CC= CFLAGS=	as everywhere
VERSION := 0.1.0

ifeq ($(origin CC),default)
CC := gcc
endif
comma := ,
O ?= build/$(if $(SAN),san-$(subst $(comma),-,$(SAN)),O)
CFLAGS ?= $(if $(SAN),-O1,-O2) -g

prefix ?= /usr
bindir ?= $(prefix)/bin
sbindir ?= $(prefix)/sbin
libdir ?= $(prefix)/lib/$(shell $(CC) -print-multiarch 2>/dev/null)
includedir ?= $(prefix)/include
datadir ?= $(prefix)/share
mandir ?= $(datadir)/man
sysconfdir ?= /etc
plugindir ?= $(libdir)/vnetd/plugins
# Debian's systemd.pc still says /lib, which is a link to /usr/lib: a DESTDIR that is
# unpacked over a root file system must not turn that link into a folder.
pc_dir = $(patsubst /lib/%,/usr/lib/%,$(or $(shell pkg-config --variable=$(2) $(1) 2>/dev/null),$(3)))
unitdir ?= $(call pc_dir,systemd,systemdsystemunitdir,/usr/lib/systemd/system)
sysusersdir ?= $(call pc_dir,systemd,sysusersdir,/usr/lib/sysusers.d)
tmpfilesdir ?= $(call pc_dir,systemd,tmpfilesdir,/usr/lib/tmpfiles.d)
modulesloaddir ?= $(call pc_dir,systemd,modulesloaddir,/usr/lib/modules-load.d)
catalogdir ?= $(call pc_dir,systemd,catalogdir,/usr/lib/systemd/catalog)
networkdir ?= $(call pc_dir,systemd,systemdnetworkdir,/usr/lib/systemd/network)
udevdir ?= $(call pc_dir,udev,udevdir,/usr/lib/udev)
hookdir ?= $(sysconfdir)/libvirt/hooks
# Included by the profile that libvirt gives each QEMU; of no effect without AppArmor.
apparmordir ?= $(sysconfdir)/apparmor.d/abstractions/libvirt-qemu.d

# ---- flags ----------------------------------------------------------------------------------
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
	-Wformat=2 -Wvla -Wundef -Wpointer-arith -Wimplicit-fallthrough -Werror
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection
# _FORTIFY_SOURCE hides calls from the sanitizers, and needs optimisation.
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer,\
	-D_FORTIFY_SOURCE=2)
DEFINES := -D_GNU_SOURCE -I. -Iplugins -DVNET_VERSION='"$(VERSION)"' -DVNET_PLUGIN_DIR='"$(plugindir)"'
ALL_CFLAGS = -std=gnu17 $(DEFINES) $(WARN) $(HARDEN) $(SAN_FLAGS) $(CFLAGS) $(CPPFLAGS)
ALL_LDFLAGS = $(if $(SAN),-fsanitize=$(SAN)) -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
TEST_DEFINES := -DVNET_FAULTS -DVNET_TEST_BACKENDS

LIB_PKGS := libsystemd jansson
CLI_PKGS := $(LIB_PKGS) smartcols
DAEMON_PKGS := $(LIB_PKGS) libvirt libpci libnl-3.0 libnl-genl-3.0 libudev libxml-2.0 inih
# Asked once, and only when something is compiled: `make help` needs no packages.
ask_pc = $(eval $(1) := $(shell pkg-config $(2) $(3)))$($(1))
PKG_CFLAGS = $(call ask_pc,PKG_CFLAGS,--cflags,$(DAEMON_PKGS) smartcols)
CLI_LIBS = $(call ask_pc,CLI_LIBS,--libs,$(CLI_PKGS))
DAEMON_LIBS = $(call ask_pc,DAEMON_LIBS,--libs,$(DAEMON_PKGS)) -pthread -ldl

# ---- what there is --------------------------------------------------------------------------
obj = $(patsubst %.c,$(O)/%.o,$(wildcard $(1)))
test_obj = $(patsubst %.c,$(O)/test/%.o,$(wildcard $(1)))
LIB_OBJ := $(call obj,lib/*.c)
VARLINK_OBJ := $(patsubst %.varlink,$(O)/%.o,$(wildcard daemon/io.vnetd.varlink))
DAEMON_OBJ := $(call obj,daemon/*.c daemon/host/*.c) $(VARLINK_OBJ)
CLI_OBJ := $(filter-out $(O)/cli/hook.o,$(call obj,cli/*.c))
HOOK := $(patsubst cli/hook.c,$(O)/vnetd-hook,$(wildcard cli/hook.c))
# Of plugins/ the kit is linked into the modes that use it, and the example is for tests.
KIT_SRC := $(wildcard plugins/kit-*.c)
PLUGINS := $(patsubst plugins/%.c,$(O)/plugins/vnet-%.so,\
	$(filter-out $(KIT_SRC) plugins/example.c,$(wildcard plugins/*.c)))
EXAMPLE := $(patsubst plugins/%.c,$(O)/tests/vnet-%.so,$(wildcard plugins/example.c))
# The daemon once more, with fault points and the fake kernels of tests/fake.
TEST_OBJ := $(call test_obj,daemon/*.c daemon/host/*.c tests/fake/*.c) $(VARLINK_OBJ)
# What of the client is tested without a daemon.
TEST_CLI_OBJ := $(call test_obj,$(wildcard cli/placeholders.c cli/memory.c))
UNIT_SRC := $(wildcard tests/unit/test-*.c)
UNIT_HELP_OBJ := $(call test_obj,$(filter-out $(UNIT_SRC),$(wildcard tests/unit/*.c)))
UNIT := $(UNIT_SRC:%.c=$(O)/%)
HELPERS := $(patsubst tests/programs/%.c,$(O)/tests/%,$(wildcard tests/programs/*.c))
BINARIES := $(if $(DAEMON_OBJ),$(O)/vnetd) $(if $(CLI_OBJ),$(O)/vnetctl) $(HOOK) $(PLUGINS)
TEST_BINARIES := $(if $(TEST_OBJ),$(O)/test/vnetd) $(UNIT) $(HELPERS) $(EXAMPLE)
C_SRC := $(wildcard lib/*.c daemon/*.c daemon/host/*.c cli/*.c plugins/*.c)
ALL_SRC := $(C_SRC) $(wildcard tests/fake/*.c tests/unit/*.c tests/programs/*.c tests/lab/*.c)
ALL_HDR := $(wildcard lib/*.h daemon/*.h daemon/host/*.h cli/*.h plugins/*.h tests/*/*.h)
SCRIPTS := $(shell git ls-files -co --exclude-standard ':!*.md' 2>/dev/null | \
	xargs -r grep -lIE '^.!/(usr/)?bin/(env )?(ba|da)?sh' 2>/dev/null)

# ---- build ----------------------------------------------------------------------------------
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-9s%s\n' $(1) '$(2)')
.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: all build-tests clean help FORCE

all: packages $(BINARIES)	## build everything that is installed (the default)
build-tests: all $(TEST_BINARIES)	## build the test daemon, unit tests and test programs

.PHONY: packages
packages:
	@pkg-config --exists $(DAEMON_PKGS) smartcols 2>/dev/null || { \
		echo "make: these packages are missing; 'tests/deps build' installs them:" >&2; \
		tests/deps --missing build >&2; exit 1; }

# Rewritten only where its text changes: other flags, or a file come or gone, rebuild.
define stamp
	$(shell mkdir -p $(@D))$(file >$@.new,$(1))
	@if cmp -s $@.new $@; then rm -f $@.new; else mv -f $@.new $@; fi
endef
$(O)/flags: FORCE | packages
	$(call stamp,$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(TEST_DEFINES))
$(O)/files: FORCE | packages
	$(call stamp,$(LIB_OBJ) $(DAEMON_OBJ) $(CLI_OBJ) $(TEST_OBJ) $(UNIT_HELP_OBJ) $(TEST_CLI_OBJ))

compile = $(CC) $(ALL_CFLAGS) $(PKG_CFLAGS) -MMD -MP $(1) -c -o $@ $<
$(O)/%.o: %.c $(O)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(call compile,-fPIE)
$(O)/test/%.o: %.c $(O)/flags
	$(call say,CC,$< (test))
	@mkdir -p $(@D)
	$(Q)$(call compile,-fPIE $(TEST_DEFINES))
# The interface as one string, io_vnetd_varlink, in the binary.
$(O)/%.varlink.c: %.varlink
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q){ name=$$(echo '$(*F)' | tr . _)_varlink; \
	echo "extern const char $$name[];"; echo "const char $$name[] ="; \
	sed 's/[\\"]/\\&/g; s/.*/"&\\n"/' $<; echo ';'; } > $@
$(VARLINK_OBJ): $(O)/%.o: $(O)/%.varlink.c $(O)/flags
	$(Q)$(call compile,-fPIE)

$(O)/libvnet.a: $(LIB_OBJ) $(O)/files
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

link = $(CC) $(ALL_CFLAGS) -pie $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(1)
$(O)/vnetd: $(DAEMON_OBJ) $(O)/libvnet.a $(O)/files
	$(call say,LINK,$@)
	$(Q)$(call link,$(DAEMON_LIBS))
$(O)/vnetctl: $(CLI_OBJ) $(O)/libvnet.a $(O)/files
	$(call say,LINK,$@)
	$(Q)$(call link,$(CLI_LIBS))
$(O)/vnetd-hook: $(O)/cli/hook.o
	$(call say,LINK,$@)
	$(Q)$(call link,)
$(O)/test/vnetd: $(TEST_OBJ) $(O)/libvnet.a $(O)/files
	$(call say,LINK,$@)
	$(Q)$(call link,$(DAEMON_LIBS))
# Archives: a test takes what it names, so that the helpers of others need not fit it.
$(O)/test/unit.a: $(UNIT_HELP_OBJ) $(TEST_CLI_OBJ) $(filter-out $(O)/test/daemon/main.o,$(TEST_OBJ)) $(O)/files
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)
$(UNIT): $(O)/tests/unit/%: $(O)/test/tests/unit/%.o $(O)/test/unit.a $(O)/libvnet.a | $(PLUGINS)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(call link,$(DAEMON_LIBS) -lcmocka)
$(HELPERS): $(O)/tests/%: tests/programs/%.c $(O)/flags
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d -fPIE -pie $(ALL_LDFLAGS) -o $@ $< -pthread

# A plugin sees its ABI header, the kit and libc, nothing else, and shows one symbol.
plugin_flags = $(ALL_CFLAGS) -MMD -MP -MF $@.d -fPIC -fvisibility=hidden
$(O)/plugins/kit-%.o: plugins/kit-%.c $(O)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(plugin_flags) -c -o $@ $<
$(O)/plugins/kit.a: $(KIT_SRC:%.c=$(O)/%.o) $(O)/files
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)
define link_plugin
	$(call say,PLUGIN,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(plugin_flags) -shared -Wl,--no-undefined $(ALL_LDFLAGS) -o $@ \
		$< $(filter %.a,$^)
	@s=$$(nm -D --defined-only $@ | awk '$$3 !~ /^__odr_asan/ { print $$3 }' | xargs); \
	[ "$$s" = vnet_plugin ] || { echo "$<: exports '$$s', not just vnet_plugin" >&2; exit 1; }
endef
$(O)/plugins/vnet-%.so: plugins/%.c $(O)/plugins/kit.a $(O)/flags
	$(link_plugin)
$(EXAMPLE): plugins/example.c $(O)/flags
	$(link_plugin)

-include $(patsubst %.o,%.d,$(LIB_OBJ) $(DAEMON_OBJ) $(CLI_OBJ) $(TEST_OBJ) $(UNIT_HELP_OBJ) $(TEST_CLI_OBJ)) \
	$(UNIT_SRC:%.c=$(O)/test/%.d) $(PLUGINS:=.d) $(EXAMPLE:=.d) $(KIT_SRC:%.c=$(O)/%.o.d) \
	$(HELPERS:=.d) $(HOOK:$(O)/vnetd-hook=$(O)/cli/hook.d)

# ---- install --------------------------------------------------------------------------------
# mode:source:target, for install and uninstall alike; what is not there yet is left out.
have = $(if $(wildcard $(2)),$(1):$(2):$(3))
INSTALL = 755:$(O)/vnetd:$(sbindir)/vnetd 755:$(O)/vnetctl:$(bindir)/vnetctl \
	$(foreach p,$(PLUGINS),755:$(p):$(plugindir)/$(notdir $(p))) \
	$(foreach d,qemu.d network.d,$(HOOK:%=755:%:$(hookdir)/$(d)/vnetd)) \
	644:plugins/vnet-plugin.h:$(includedir)/vnet-plugin.h \
	$(call have,644,docs/inventory.schema.json,$(datadir)/vnetd/inventory.schema.json) \
	644:daemon/vnetd.catalog:$(catalogdir)/vnetd.catalog \
	644:cli/completion.bash:$(datadir)/bash-completion/completions/vnetctl \
	644:cli/completion.zsh:$(datadir)/zsh/vendor-completions/_vnetctl \
	644:cli/completion.fish:$(datadir)/fish/vendor_completions.d/vnetctl.fish \
	$(foreach p,$(wildcard docs/*.[1-9]),644:$(p):$(mandir)/man$(lastword $(subst ., ,$(p)))/$(notdir $(p))) \
	$(foreach u,vnetd.service vnetd.socket,644:systemd/$(u):$(unitdir)/$(u)) \
	644:systemd/vnetd.sysusers:$(sysusersdir)/vnetd.conf \
	644:systemd/vnetd.tmpfiles:$(tmpfilesdir)/vnetd.conf \
	644:systemd/vnetd.modules:$(modulesloaddir)/vnetd.conf \
	644:systemd/vnetd.network:$(networkdir)/10-vnetd.network \
	644:systemd/vnetd.link:$(networkdir)/10-vnetd.link \
	644:systemd/vnetd.apparmor:$(apparmordir)/vnetd \
	644:udev/70-vnetd.rules:$(udevdir)/rules.d/70-vnetd.rules

define put_files
	$(call say,INSTALL,$(1)$(prefix))
	$(Q)set -e; for f in $(INSTALL); do IFS=:; set -- $$f; unset IFS; \
		install -D -m "$$1" "$$2" '$(1)'"$$3"; done
	$(Q)sed -i 's|/usr/sbin/|$(sbindir)/|' '$(1)$(unitdir)/vnetd.service'
endef

.PHONY: install uninstall lab-tree
# A running libvirt looks for hooks only when it is told to.
install: all	## install under DESTDIR and prefix
	$(call put_files,$(DESTDIR))
	$(Q)[ -n '$(DESTDIR)' ] || [ ! -d /run/systemd/system ] || \
		for s in libvirtd virtqemud virtnetworkd; do \
			systemctl -q is-active $$s 2>/dev/null && systemctl reload $$s || :; \
		done
uninstall:	## remove what install put there
	$(Q)rm -f $(foreach f,$(INSTALL),'$(DESTDIR)$(lastword $(subst :, ,$(f)))')
	$(Q)for d in '$(plugindir)' '$(datadir)/vnetd' '$(apparmordir)'; do \
		rmdir -p --ignore-fail-on-non-empty '$(DESTDIR)'"$$d" 2>/dev/null || :; done
# What the lab boots with: an installed tree, and the programs its scripts find in /lab/files.
lab-tree: build-tests
	$(Q)rm -rf $(O)/lab && mkdir -p $(O)/lab/files
	$(call put_files,$(O)/lab/root)
	$(Q)cp tests/bench/lab/bench.sh tests/bench/lab/worker-provision.py $(O)/lab/files
	$(Q)cp $(HELPERS) $(wildcard docs/inventory.schema.json tests/hosts/capture.sh) $(O)/lab/files
	$(Q)cp $(O)/test/vnetd $(O)/lab/files/vnetd-faults

# ---- check ----------------------------------------------------------------------------------
# tests/check installs what a lane needs, builds it, runs it and counts.
.PHONY: check check-static check-unit check-flow check-lab lab-shell demo
check:	## run every lane: static, unit, flow (both also under sanitizers), lab
	+$(Q)tests/check
check-static:	## formatting, layers, scripts, spelling, analyzers
check-unit:	## unit tests (cmocka); SAN= picks a sanitizer
check-flow:	## real vnetd and vnetctl on a fake kernel; SAN= picks a sanitizer
check-lab:	## everything in the emulated SR-IOV host
check-static check-unit check-flow check-lab:
	+$(Q)SAN='$(SAN)' tests/check $(@:check-%=%)
lab-shell:	## a console in the booted lab
	$(Q)tests/deps build lab
	+$(Q)$(MAKE) --no-print-directory lab-tree && \
		exec tests/lab/run --destdir $(O)/lab/root --files $(O)/lab/files --shell
demo:	## install what is needed, build, boot the lab and show vnetd at work
	@echo '==> packages (nothing is said where all are there), then the build of vnetd'
	$(Q)tests/deps build lab
	+$(Q)$(MAKE) --no-print-directory lab-tree && VNET_BUILD='$(abspath $(O))' exec tests/demo

.PHONY: bench bench-lab
bench:	## what vnetd costs on this machine, beside what else does the same
	$(Q)tests/deps build check
	+$(Q)$(MAKE) --no-print-directory build-tests && VNET_BUILD='$(abspath $(O))' exec tests/bench/run
bench-lab:	## the same in the emulated SR-IOV host, with 1, 7 and 14 PFs
	$(Q)tests/deps build lab
	+$(Q)$(MAKE) --no-print-directory lab-tree && VNET_BUILD='$(abspath $(O))' exec tests/bench/lab/run

STATIC := format-check layers shellcheck codespell plugin-header docs-check analyze-gcc analyze-cppcheck analyze-clang-tidy
.PHONY: format $(STATIC) analyze static-goals
static-goals:
	@echo $(STATIC)
format:	## put all C files into the house format
	$(Q)clang-format-14 -i $(ALL_SRC) $(ALL_HDR)
format-check:	## say which C files are not in it
	$(Q)clang-format-14 --dry-run -Werror $(ALL_SRC) $(ALL_HDR)
layers:	## includes point down only, files stay short
	$(Q)tests/layers
shellcheck:	## lint all shell scripts
	$(Q)$(if $(SCRIPTS),shellcheck -x -P SCRIPTDIR -P tests -P tests/lab -P tests/bench/lab $(SCRIPTS))
codespell:	## spelling
	$(Q)git ls-files -co --exclude-standard | xargs codespell
plugin-header:	## the plugin ABI compiles alone, as C and as C++, and breaks none that was given out
	$(Q)CC='$(CC)' tests/abi/check

docs-check: $(O)/vnetd $(O)/vnetctl	## the manual has all there is, and nothing else
	$(Q)CC='$(CC)' tests/docs '$(O)'

# -fanalyzer of gcc 12 loses what lists and __attribute__((cleanup)) hold: leaks are left to the
# address sanitizer. The checks of clang-tidy are in .clang-tidy.
GCC_ANALYZE := -fanalyzer -Wno-analyzer-malloc-leak
told = $(if $(filter-out lib/err.c,$<),-include tests/analyze.h)
analyze: analyze-gcc analyze-cppcheck analyze-clang-tidy	## gcc -fanalyzer, cppcheck, clang-tidy
analyze-gcc: $(C_SRC:%.c=$(O)/analyze/%.gcc)
analyze-clang-tidy: $(C_SRC:%.c=$(O)/analyze/%.tidy)
$(O)/analyze/%.gcc: %.c $(O)/flags
	$(call say,ANALYZE,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(PKG_CFLAGS) -MMD -MP -MT $@ -MF $@.d $(GCC_ANALYZE) $(told) -c -o $@ $<
TIDY_CFLAGS = -std=gnu17 $(DEFINES) $(PKG_CFLAGS) $(told)
$(O)/analyze/%.tidy: %.c $(O)/flags .clang-tidy
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang-tidy-14 --quiet --warnings-as-errors='*' $< -- $(TIDY_CFLAGS) 2>$@.log \
		|| { grep -v 'warnings generated' $@.log; exit 1; }
	$(Q)$(CC) $(TIDY_CFLAGS) -MM -MP -MT $@ -MF $@.d $< && touch $@
-include $(foreach s,$(C_SRC:%.c=%),$(O)/analyze/$(s).gcc.d $(O)/analyze/$(s).tidy.d)
analyze-cppcheck:
	$(call say,CPPCHECK,$(words $(C_SRC)) files)
	@mkdir -p $(O)/analyze/cppcheck
	$(Q)cppcheck --quiet --error-exitcode=1 --cppcheck-build-dir=$(O)/analyze/cppcheck \
		--library=tests/cppcheck.cfg --suppressions-list=tests/cppcheck.suppress --inline-suppr \
		--std=c11 --enable=warning,performance,portability $(DEFINES) $(C_SRC)

clean:	## remove all builds
	$(Q)rm -rf build $(O)
help:	## this list
	@awk -F '\t+## ' '/^[a-z-]+:.*\t## / { sub(/:.*/, "", $$1); printf "%-16s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)
