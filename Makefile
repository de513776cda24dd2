# SPDX-License-Identifier: BSD-2-Clause
# Builds, tests and installs ncp.  `make help` lists targets and variables.
#
# New files need no edit here: sources, programs (a folder with a main.c), tests (test_*.c,
# test_*.sh) and man pages are found by name.

VERSION  := $(shell sed -n 's/^.define NCP_VERSION "\(.*\)"/\1/p' libncpbus/include/ncpbus.h)
SOVER    := 0

ifeq ($(origin CC),default)
CC       := gcc
endif
CFLAGS   ?= -O2 -g
HARDEN   ?= $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2 -fstack-protector-strong)
HARDEN_LD ?= -Wl,-z,relro,-z,now
PKG_CONFIG ?= pkg-config
PREFIX   ?= /usr/local
BINDIR   ?= $(PREFIX)/bin
SBINDIR  ?= $(PREFIX)/sbin
LIBDIR   ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
PRIVATEDIR ?= $(LIBDIR)/ncp
DATADIR  ?= $(PREFIX)/share/ncp
MANDIR   ?= $(PREFIX)/share/man
SYSTEMDDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
BASHDIR  ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR   ?= $(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
FISHDIR  ?= $(PREFIX)/share/fish/vendor_completions.d
# Debian's Wireshark looks in one folder, whatever our PREFIX; elsewhere below it, touch nothing else.
EXTCAPDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/usr/lib$(addprefix /,$(multiarch)),$(LIBDIR))/wireshark/extcap
PYTHONDIR ?= $(if $(filter /usr,$(PREFIX)),/usr/lib/python3,$(PREFIX)/lib/python$(pyversion))/dist-packages
pyversion = $(shell PATH=/usr/bin:/bin python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
multiarch = $(shell gcc -print-multiarch 2>/dev/null)

# What a component links besides libncpbus and libc: names for pkg-config.
pkgs_producer := libpcap libseccomp
pkgs_ncp-dump := liburing libzstd liblz4
pkgs_ncp-stats := libmicrohttpd ncursesw
pkgs_pcap-shim := libpcap
pkgs_tests    := libsodium libpcap

comma := ,
BUILD ?= build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
B     := $(BUILD)
Q     := $(if $(V),,@)
say    = $(if $(V),,@printf '  %-5s %s\n' $1 '$@')

warnings := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla -Wformat=2 \
	-Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror)
sanitize := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -DNCP_SANITIZED)
cflags    = -std=gnu17 -D_GNU_SOURCE -pthread $(HARDEN) \
	$(sanitize) $(warnings) $(CPPFLAGS) $(CFLAGS)
ldflags   = -pthread $(sanitize) $(HARDEN_LD) -Wl,--as-needed $(LDFLAGS)
pkg       = $(if $(strip $2),$(shell $(PKG_CONFIG) $1 $2))

# Under sudo the build runs as the user who called, if it is his tree, and a build that root left
# there becomes his, too.
ifneq ($(SUDO_UID),)
ifeq ($(shell id -u),0)
user := setpriv --reuid=$(SUDO_UID) --regid=$(SUDO_GID) --init-groups
as_user := $(shell $(user) test -w . 2>/dev/null && echo '$(user)')
endif
endif

objs = $(patsubst %.c,$(B)/$1/%.o,$2)
lib_c  := $(wildcard libncpbus/*.c)
util_c := $(wildcard libncpbus/util/*.c)
map    := $(wildcard libncpbus/ncpbus.map)
man    := $(wildcard doc/man/*.[1-8])
units  := $(patsubst doc/systemd/%.in,%,$(wildcard doc/systemd/*.in))
python := $(addprefix clients/python/ncpbus/,__init__.py _abi.py _bus.py py.typed)
folders := $(patsubst %/main.c,%,$(wildcard producer/main.c clients/*/main.c))
name    = $(if $(filter producer,$1),ncp-producer,$(notdir $1))
programs := $(foreach d,$(folders),$(B)/bin/$(call name,$d))
so   := $(B)/lib/libncpbus.so.$(SOVER)
libs := $(B)/lib/libncpbus.a $(so) $(B)/lib/libncpbus.so $(B)/lib/libncputil.a

# Private things, found by the programs that use them: clients/X-shim with its exports.map is
# libncp-X.so, and a file ncp-*.c in a client's folder is a program of its own.
shims   := $(patsubst %/exports.map,%,$(wildcard clients/*-shim/exports.map))
shim     = $(B)/lib/ncp/libncp-$(patsubst %-shim,%,$(notdir $1)).so
lone_c  := $(wildcard clients/*/ncp-*.c)
private := $(foreach d,$(shims),$(call shim,$d)) $(patsubst %.c,$(B)/lib/ncp/%,$(notdir $(lone_c)))

# tests/FOLDER/test_*: every one, and those that T= (files or folders) asks for.
test_src := $(wildcard $(foreach g,*/test_* */*/test_* */*/*/test_*,tests/$g.c tests/$g.sh))
wanted   := $(if $(T),$(filter $(T) $(addsuffix .c,$(T)) $(addsuffix .sh,$(T)) \
	$(addsuffix /%,$(patsubst %/,%,$(T))),$(test_src)),$(test_src))
run      := $(patsubst %.c,$(B)/%,$(wanted))
tools    := $(patsubst %.c,$(B)/%,$(wildcard tests/tools/*.c))
benches  := $(patsubst %.c,$(B)/%,$(wildcard tests/bench/*.c))

.DEFAULT_GOAL := all
.PHONY: all tests check check-system check-fences check-model check-kills check-web fuzz storm bench deb check-deb demo deps install uninstall clean format help FORCE
.DELETE_ON_ERROR:
.SECONDARY:

ifneq ($(as_user),)
all tests: FORCE
	@[ ! -d build ] || find build ! -user $(SUDO_UID) -exec chown -h $(SUDO_UID):$(SUDO_GID) {} +
	+@$(as_user) $(MAKE) --no-print-directory $@
else
all: $(libs) $(programs) $(private)
tests: all $(tools) $(filter-out %.sh,$(run))
endif

# --- objects: obj/ for use, tobj/ with test points ------------------------------------------

# The include arrows: clients reach <ncpbus.h> and "util/x.h" and nothing else of the library.
inc_util   = -iquote $(B)/include
$(B)/obj/libncpbus/%.o:  private inc = -fPIC -Ilibncpbus/include -iquote . \
	-fno-semantic-interposition
$(B)/obj/libncpbus/util/%.o: private inc = -fPIC $(inc_util)
$(B)/obj/producer/%.o:   private inc = -fPIE -Ilibncpbus/include -iquote . $(inc_util) \
	$(call pkg,--cflags,$(pkgs_producer))
$(B)/obj/clients/%.o:    private inc = -fPIE -Ilibncpbus/include $(inc_util) \
	$(call pkg,--cflags,$(pkgs_$(notdir $(patsubst %/,%,$(dir $*)))))
$(B)/obj/tests/%.o:      private inc = -fPIE -Ilibncpbus/include -iquote . $(inc_util)
$(B)/obj/clients/pcap-shim/%.o: private inc = -fPIC -Ilibncpbus/include $(inc_util) \
	$(call pkg,--cflags,$(pkgs_pcap-shim))
# LIBDIR may be one folder for each kind of machine: where ncp-run looks for what it loads.
$(B)/obj/clients/ncp-run/%.o: private inc = -fPIE -Ilibncpbus/include $(inc_util) \
	$(if $(multiarch),-DNCP_MULTIARCH='"$(multiarch)"')
$(B)/tobj/%.o:           private inc = -fPIE -DNCP_TESTPOINTS -Ilibncpbus/include -iquote . \
	-iquote tests -iquote tests/support $(inc_util) $(call pkg,--cflags,$(pkgs_tests))

compile = $(CC) $(cflags) $(inc) -MMD -MP -c -o $@ $<
$(B)/obj/%.o: %.c $(B)/flags | $(B)/include/util
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(compile)
$(B)/tobj/%.o: %.c $(B)/flags | $(B)/include/util
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(compile)

$(B)/include/util:
	@mkdir -p $(@D) && ln -sfn $(abspath libncpbus/util) $@

# The page is part of the program.
$(B)/obj/clients/ncp-stats/page.o $(B)/tobj/clients/ncp-stats/page.o: $(wildcard clients/ncp-stats/page/*)

# Another compiler or other flags: build again.
$(B)/flags: export stamp = $(CC) $(cflags) $(ldflags)
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$stamp" | cmp -s - $@ || printf '%s\n' "$$stamp" >$@

# --- libraries and programs -----------------------------------------------------------------

$(B)/lib/libncpbus.a: $(call objs,obj,$(lib_c))
$(B)/lib/libncputil.a: $(call objs,obj,$(util_c))
$(B)/tobj/libncpbus.a: $(call objs,tobj,$(lib_c))
$(B)/tobj/libsupport.a: $(call objs,tobj,$(wildcard tests/support/*.c))
$(B)/%.a:
	@mkdir -p $(@D)
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(so): $(call objs,obj,$(lib_c)) $(map)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) -shared -Wl,-soname,$(@F) $(map:%=-Wl,--version-script=%) \
		-Wl,-Bsymbolic-functions $(ldflags) -o $@ $(filter %.o,$^)
$(B)/lib/libncpbus.so: $(so)
	$(Q)ln -sf $(<F) $@

link = $(CC) -pie $(ldflags) -o $@ $^ $(LIBS) $(call pkg,--libs,$1) -lm

# Programs hold libncpbus.a: they run from the build folder and as another user without
# LD_LIBRARY_PATH, and ncp-producer uses what the shared library does not export.
define program
$(B)/bin/$(call name,$1): $(call objs,obj,$(wildcard $1/*.c)) \
		$(B)/lib/libncputil.a $(B)/lib/libncpbus.a
	@mkdir -p $$(@D)
	$$(call say,LD)
	$(Q)$$(call link,$(pkgs_$(notdir $1)))
endef
$(foreach d,$(folders),$(eval $(call program,$d)))

# A shim is loaded into programs of others: it shows its map's names, and holds what it uses of the
# libraries.
define shared
$(call shim,$1): $(call objs,obj,$(filter-out $(lone_c),$(wildcard $1/*.c))) $1/exports.map \
		$(B)/lib/libncputil.a $(B)/lib/libncpbus.a
	@mkdir -p $$(@D)
	$$(call say,LD)
	$(Q)$$(CC) -shared -Wl,--version-script=$1/exports.map -Wl,-Bsymbolic-functions $$(ldflags) \
		-o $$@ $$(filter %.o %.a,$$^)
endef
$(foreach d,$(shims),$(eval $(call shared,$d)))

define lone
$(B)/lib/ncp/$(basename $(notdir $1)): $(call objs,obj,$1)
	@mkdir -p $$(@D)
	$$(call say,LD)
	$(Q)$$(call link)
endef
$(foreach f,$(lone_c),$(eval $(call lone,$f)))

# A test is linked with tests/tap, its folder's other .c files, what it uses of tests/support, and,
# in tests/producer and tests/clients/PROGRAM, that program without its main.c.  A fuzzer, in
# tests/fuzz/producer and tests/fuzz/clients/PROGRAM, has no main(): libFuzzer's, or replay.c's.
component = $(filter producer/ clients/%,$(patsubst tests/%,%,$(patsubst tests/fuzz/%,tests/%,$(dir $1))))
define test
$(B)/$(1:.c=): $(call objs,tobj,$1 $(wildcard tests/tap/*.c) \
		$(if $(filter tests/tools/,$(dir $1)),, \
		$(filter-out $(dir $1)test_%,$(wildcard $(dir $1)*.c))) \
		$(if $(filter tests/fuzz/%,$1),$(if $(findstring fuzzer,$(SANITIZE)),,tests/fuzz/replay.c)) \
		$(if $(call component,$1),$(filter-out %/main.c $(lone_c),$(wildcard $(call component,$1)*.c)))) \
		$(B)/tobj/libsupport.a $(B)/lib/libncputil.a $(B)/tobj/libncpbus.a
	@mkdir -p $$(@D)
	$$(call say,LD)
	$(Q)$$(call link,$(pkgs_tests) $(pkgs_$(notdir $(patsubst %/,%,$(dir $1)))))
endef
$(foreach t,$(filter %.c,$(test_src)) $(wildcard tests/tools/*.c),$(eval $(call test,$t)))

# A benchmark is one file and the library as programs have it, without test points.
$(benches): $(B)/tests/bench/%: $(B)/obj/tests/bench/%.o $(B)/lib/libncputil.a $(B)/lib/libncpbus.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(call link,libpcap)

# --- tests ----------------------------------------------------------------------------------

deps  := DEPS='$(DEPS)' CC='$(CC)' tests/tools/deps.sh
# Every processor, unless the caller gave a -j of his own.
jobs   = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
build  = $(MAKE) --no-print-directory $(jobs)
# A signal that the caller ignores would be ignored by all that the tests start.
prove  = env --default-signal HARNESS_RULESFILE=tests/tools/rules.yml prove $(PROVEFLAGS)
# Tests wait more than they compute, but are several processes each.
beside := $(shell n=$$(nproc); echo $$((n < 4 ? n + 1 : 4)))
export NCP_BUILD := $(abspath $B)
export NCP_BIN   := $(NCP_BUILD)/bin

# The longest first, so that others fill up what is left of the time.  PROVEFLAGS comes behind.
check:
	$(if $(run),,$(error no such test: $(T)))
	@$(deps)
	+@$(build) tests
	@PATH="$(NCP_BIN):$(NCP_BUILD)/tests/tools:$$PATH:/usr/sbin:/sbin" \
		$(prove) $(if $(V),-v,-j$(beside)) --exec '' \
		$(filter tests/system/%,$(run)) $(filter-out tests/system/%,$(run))

check-system:
	+@$(MAKE) --no-print-directory check T=tests/system

check-model:
	@$(deps)
	@$(prove) -v --exec '' tests/model/run

check-kills:
	+@NCP_KILLS=50 $(MAKE) --no-print-directory check T=tests/system/test_dump_kills

check-fences:
	@$(deps)
	@tests/race/fences $(SECONDS)

storm: SECONDS ?= 30
storm:
	@$(deps)
	+@$(build) tests T=tests/race
	@NCP_STORM_SECONDS=$(SECONDS) $(prove) -v --exec '' $(filter $(B)/tests/race/test_storm%, \
		$(patsubst %.c,$(B)/%,$(test_src)))

# The fuzzers of tests/fuzz one after the other, by clang and libFuzzer, for SECONDS in all; T= names
# some.  What they find that leads to new code is kept in build/fuzz/found for the next time.
fuzzers := $(filter tests/fuzz/%.c,$(wanted))
fuzz: SECONDS ?= 300
fuzz:
	@$(deps) fuzz
	+@$(MAKE) --no-print-directory $(jobs) BUILD=build/fuzz CC=clang \
		SANITIZE=fuzzer,address,undefined $(fuzzers:%.c=build/fuzz/%)
	@set -e; for f in $(fuzzers:%.c=%); do \
		kept=$(CURDIR)/$${f%/test_*}/$${f##*/test_} \
		found=$(CURDIR)/build/fuzz/found/$${f#tests/fuzz/}; \
		mkdir -p $$found; echo "$$f"; \
		build/fuzz/$$f -max_total_time=$$(($(SECONDS) / $(words $(fuzzers)))) -timeout=25 \
			-artifact_prefix=$(CURDIR)/build/fuzz/ -print_final_stats=1 $(FUZZFLAGS) \
			$$found $$kept; \
	done

# ncp-stats' server before a Prometheus and a browser of Debian's, which are not installed for it.
check-web:
	@$(deps)
	+@$(build) all
	@PATH="$(NCP_BIN):$$PATH" $(prove) $(if $(V),-v) --exec '' tests/web/check.sh

# A report beside the peers, REPORT=FILE.md with plots in FILE/: keep the machine quiet.  RUNS=9: more runs
# than 5.  SECTIONS='disk scale': only those again.  Without a peer it is skipped.
bench: RUNS ?= 5
bench: REPORT ?= $(B)/bench/report.md
bench:
	@$(deps)
	@$(deps) bench || echo 'make: measuring without them' >&2
	+@$(build) all $(tools) $(benches)
	@PATH="$(NCP_BIN):$(NCP_BUILD)/tests/tools:$$PATH:/usr/sbin:/sbin" REPORT='$(REPORT)' \
		tests/bench/run $(RUNS) $(SECTIONS)

DEBVERSION ?= $(VERSION)
deb:
	@$(deps) deb
	@doc/debian/build.sh build/deb $(DEBVERSION)

check-deb: deb
	@$(deps) check-deb
	+@$(build) tests T=tests/packages
	@$(prove) -v --exec '' tests/packages/install.sh

demo:
	@$(deps)
	+@$(build) tests T=tests/demo
	@tests/demo/demo.sh

deps:
	@$(deps)

# --- the rest -------------------------------------------------------------------------------

# A page of section 3 is also found by each other name in its NAME section: PAGE=LINK.
man_alias = $(shell awk '/^\.Sh/ { n = /NAME/ } n && /^\.Nm/ { p = FILENAME; sub(/.*\//, "", p); \
	if (p != $$2 ".3") print p "=" $$2 ".3" }' $(filter %.3,$(man)))

# bash and fish look for a file of the program's name: the first is the file, the others are links.
completed = $(notdir $(filter-out %/ncp-extcap,$(programs)))
first     = $(firstword $(completed))

install: all
	install -d $(addprefix $(DESTDIR),$(SBINDIR) $(BINDIR) $(LIBDIR) $(INCLUDEDIR) $(PKGCONFIGDIR) \
		$(PRIVATEDIR))
	$(foreach p,$(programs),install $p $(DESTDIR)$(if $(filter %/ncp-producer,$p),$(SBINDIR),$(BINDIR))/ &&) :
	install -m 644 $(B)/lib/libncpbus.a $(so) $(DESTDIR)$(LIBDIR)/
	ln -sf $(notdir $(so)) $(DESTDIR)$(LIBDIR)/libncpbus.so
	install $(private) $(DESTDIR)$(PRIVATEDIR)/
	install -Dm 644 clients/ncp-run/apparmor-local $(DESTDIR)$(DATADIR)/apparmor-local
	install -m 644 libncpbus/include/ncpbus.h $(DESTDIR)$(INCLUDEDIR)/
	install -d $(DESTDIR)$(EXTCAPDIR) $(DESTDIR)$(PYTHONDIR)/ncpbus
	install -m 644 $(python) $(DESTDIR)$(PYTHONDIR)/ncpbus/
	ln -sf $(BINDIR)/ncp-extcap $(DESTDIR)$(EXTCAPDIR)/ncp-extcap
	install -Dm 644 doc/completion/ncp.bash $(DESTDIR)$(BASHDIR)/$(first)
	install -Dm 644 doc/completion/ncp.fish $(DESTDIR)$(FISHDIR)/$(first).fish
	install -Dm 644 doc/completion/_ncp $(DESTDIR)$(ZSHDIR)/_ncp
	$(foreach p,$(filter-out $(first),$(completed)),ln -sf $(first) $(DESTDIR)$(BASHDIR)/$p && \
		ln -sf $(first).fish $(DESTDIR)$(FISHDIR)/$p.fish &&) :
	install -d $(DESTDIR)$(SYSTEMDDIR)
	$(foreach u,$(units),sed -e 's|@SBINDIR@|$(SBINDIR)|' -e 's|@BINDIR@|$(BINDIR)|' \
		doc/systemd/$u.in >$(DESTDIR)$(SYSTEMDDIR)/$u &&) :
	install -Dm 644 doc/systemd/ncp.sysusers $(DESTDIR)$(SYSUSERSDIR)/ncp.conf
	install -Dm 644 doc/systemd/ncp.tmpfiles $(DESTDIR)$(TMPFILESDIR)/ncp.conf
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' libncpbus/ncpbus.pc.in >$(DESTDIR)$(PKGCONFIGDIR)/ncpbus.pc
	$(foreach m,$(man),install -Dm 644 $m $(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $m))/$(notdir $m) &&) :
	$(foreach a,$(man_alias),ln -sf $(subst =, $(DESTDIR)$(MANDIR)/man3/,$a) &&) :

uninstall:
	rm -f $(foreach p,$(programs),$(DESTDIR)$(if $(filter %/ncp-producer,$p),$(SBINDIR),$(BINDIR))/$(notdir $p)) \
		$(addprefix $(DESTDIR)$(LIBDIR)/,$(notdir $(so)) libncpbus.a libncpbus.so) \
		$(addprefix $(DESTDIR)$(PRIVATEDIR)/,$(notdir $(private))) \
		$(DESTDIR)$(DATADIR)/apparmor-local \
		$(DESTDIR)$(INCLUDEDIR)/ncpbus.h $(DESTDIR)$(PKGCONFIGDIR)/ncpbus.pc \
		$(addprefix $(DESTDIR)$(BASHDIR)/,$(completed)) $(DESTDIR)$(ZSHDIR)/_ncp \
		$(patsubst %,$(DESTDIR)$(FISHDIR)/%.fish,$(completed)) \
		$(addprefix $(DESTDIR)$(SYSTEMDDIR)/,$(units)) $(DESTDIR)$(SYSUSERSDIR)/ncp.conf \
		$(DESTDIR)$(TMPFILESDIR)/ncp.conf \
		$(DESTDIR)$(EXTCAPDIR)/ncp-extcap $(patsubst clients/python/%,$(DESTDIR)$(PYTHONDIR)/%,$(python)) \
		$(foreach m,$(man),$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $m))/$(notdir $m)) \
		$(foreach a,$(man_alias),$(DESTDIR)$(MANDIR)/man3/$(lastword $(subst =, ,$a)))

clean:
	rm -rf build

format:
	clang-format -i $(shell git ls-files '*.c' '*.h')

help:
	@sed -n 's/^| `\(.*\)` | \(.*\) |$$/  \1\t\2/p' README.md | tr -d '`' | expand -t 32

-include $(shell find $(B)/obj $(B)/tobj -name '*.d' 2>/dev/null)
