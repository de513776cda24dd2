#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_install.sh - make install puts everything where it belongs, and uninstall takes it away.
. tests/tap/tap.sh
plan 13

make_quietly()
{
	make -s BUILD="$NCP_BUILD" DESTDIR="$TAP_DIR/dest" PREFIX=/usr "$@"
}

install_it() { make_quietly install; }
run_step "installs" install_it

pages=$(find doc/man -name '*.[1-8]' -printf 'share/man/man%f/%f\n' 2>/dev/null |
	sed -E 's,man[^/]*\.([1-8])/,man\1/,')
# Each exported call is found by its name: those that share a page by a link.
aliases=$(grep -oE '\bncp_[a-z0-9_]+ *;' libncpbus/ncpbus.map | tr -d ' ;' | while read -r call; do
	[ -e "doc/man/$call.3" ] || echo "share/man/man3/$call.3"
done)
clients=$(printf '%s\n' clients/*/main.c | sed 's,clients/\(.*\)/main.c,bin/\1,')
is "$(sort <<<"$clients
include/ncpbus.h
$(make -s BUILD="$NCP_BUILD" --eval 'x: ; @echo $(EXTCAPDIR)' PREFIX=/usr x | cut -c 6-)/ncp-extcap
lib/libncpbus.a
lib/libncpbus.so
lib/libncpbus.so.0
lib/ncp/libncp-pcap.so
lib/ncp/ncp-pcap-keeper
lib/pkgconfig/ncpbus.pc
$(find clients/python/ncpbus \( -name "*.py" -o -name py.typed \) -printf "lib/python3/dist-packages/ncpbus/%f\n")
$pages
$aliases
$(for p in sbin/ncp-producer $clients; do
	[ "$p" = bin/ncp-extcap ] || printf 'share/%s\n' "bash-completion/completions/${p#*/}" \
		"fish/vendor_completions.d/${p#*/}.fish"
done)
lib/systemd/system/ncp-dump@.service
lib/systemd/system/ncp-producer@.service
lib/sysusers.d/ncp.conf
lib/tmpfiles.d/ncp.conf
share/zsh/vendor-completions/_ncp
share/ncp/apparmor-local
sbin/ncp-producer" | sed '/^$/d')" "$(cd "$TAP_DIR/dest/usr" && find . ! -type d -printf '%P\n' | sort)" \
	"programs, libraries, header and pages, and nothing else"

is ncp_bus_info.3 "$(readlink "$TAP_DIR/dest/usr/share/man/man3/ncp_list.3")" \
	"a call without a page of its own is a link to the one that has it"
extcap=$(find "$TAP_DIR/dest" -path '*/wireshark/extcap/ncp-extcap')
is /usr/bin/ncp-extcap "$(readlink "$extcap")" "Wireshark's folder has a link to ncp-extcap"
is /opt/x/lib/wireshark/extcap "$(make -s --eval 'x: ; @echo $(EXTCAPDIR)' PREFIX=/opt/x x)" \
	"with a prefix of its own nothing is installed elsewhere"

is "/usr/sbin/ncp-producer --wait \$NCP_OPTIONS %i" "$(sed -n 's/^ExecStart=//p' \
	"$TAP_DIR/dest/usr/lib/systemd/system/ncp-producer@.service")" "the service runs what was installed"

# As it would stand in the file system's root: the commands are where the units say.
units_verify()
{
	make -s BUILD="$NCP_BUILD" PREFIX="$TAP_DIR/root" install
	cp "$TAP_DIR/root/lib/systemd/system/ncp-dump@.service" "$TAP_DIR/ncp-dump@x.service"
	cp "$TAP_DIR/root/lib/systemd/system/ncp-producer@.service" "$TAP_DIR/ncp-producer@x.service"
	systemd-analyze verify --man=no "$TAP_DIR"/ncp-*@x.service >"$TAP_DIR/verify" 2>&1
	cat "$TAP_DIR/verify"
	! grep "ncp-" "$TAP_DIR/verify"
}
if command -v systemd-analyze >/dev/null; then
	run_step "systemd finds nothing wrong with the units" units_verify
else
	is 2 "$(cat "$TAP_DIR"/dest/usr/lib/systemd/system/ncp-*@.service | grep -c '^ExecStart=/usr/s\?bin/ncp-')" \
		"each unit runs what was installed"
fi

cat >"$TAP_DIR/user.c" <<'END'
#include <ncpbus.h>
int main(void) { return ncp_strerror(NCP_ENOBUS) == 0; }
END
uses_it()
{
	local flags

	flags=$(PKG_CONFIG_PATH=$TAP_DIR/dest/usr/lib/pkgconfig \
		pkg-config --define-variable=prefix="$TAP_DIR/dest/usr" \
		--define-variable=libdir="$TAP_DIR/dest/usr/lib" \
		--define-variable=includedir="$TAP_DIR/dest/usr/include" --cflags --libs ncpbus)
	# shellcheck disable=SC2086 # a list of words
	"${CC:-gcc}" ${SANITIZE:+-fsanitize=$SANITIZE} -o "$TAP_DIR/user" "$TAP_DIR/user.c" $flags
	LD_LIBRARY_PATH=$TAP_DIR/dest/usr/lib "$TAP_DIR/user"
}
run_step "a program is built by pkg-config and runs with the shared library" uses_it

is "$(sed -n 's/^#define NCP_VERSION "\(.*\)"/\1/p' libncpbus/include/ncpbus.h)" \
	"$(PKG_CONFIG_PATH=$TAP_DIR/dest/usr/lib/pkgconfig pkg-config --modversion ncpbus)" \
	"pkg-config gives the header's version"

# runs_with LIBDIR: what ncp-run loads, installed with that.
runs_with()
{
	make_quietly install LIBDIR="$1" >/dev/null
	"$TAP_DIR/dest/usr/bin/ncp-run" sh -c 'echo "$LD_PRELOAD"'
	make_quietly uninstall LIBDIR="$1" >/dev/null
}
make_quietly uninstall
if [ -z "${SANITIZE:-}" ]; then
	for libdir in /usr/lib64 "/usr/lib/$("${CC:-gcc}" -print-multiarch)"; do
		is "$TAP_DIR/dest$libdir/ncp/libncp-pcap.so" "$(runs_with "$libdir")" \
			"ncp-run finds what it loads in $libdir"
	done
else
	skip 2 "a sanitized library cannot be loaded into plain programs"
fi

uninstall_it() { make_quietly uninstall; }
make_quietly install
run_step "uninstalls" uninstall_it
is "" "$(find "$TAP_DIR/dest" ! -type d)" "and leaves no file"
