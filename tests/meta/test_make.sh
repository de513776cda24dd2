#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_make.sh - the Makefile itself, on a small tree: what is rebuilt, whose files, what is said.
. tests/tap/tap.sh
plan 21

unset MAKEFLAGS MAKELEVEL MFLAGS BUILD SANITIZE T V WERROR DEPS CC CFLAGS CPPFLAGS LDFLAGS
unset SUDO_UID SUDO_GID
tree=$TAP_DIR/tree

# The Makefile with a library of one file and a test that passes or fails as told by $VERDICT.
small_tree()
{
	mkdir -p "$tree"/{libncpbus/include,libncpbus/util,tests/tap,tests/tools,tests/system}
	cp Makefile README.md "$tree"
	cp tests/tap/* "$tree/tests/tap"
	cp libncpbus/include/ncpbus.h "$tree/libncpbus/include"
	printf 'int util_one(void);\nint util_one(void)\n{\n\treturn 1;\n}\n' \
		>"$tree/libncpbus/util/one.c"
	printf '#!/bin/sh\nexit 0\n' >"$tree/tests/tools/deps.sh"
	# shellcheck disable=SC2016 # a script of its own
	printf '#!/bin/sh\necho 1..1\necho "$VERDICT 1 - told"\ngrep SigIgn /proc/self/status >&2\n' >"$tree/tests/system/test_told.sh"
	chmod +x "$tree"/tests/*/*.sh
}
run_step "makes a small tree" small_tree

# in_tree [VARIABLE=VALUE...] make WORDS: sets $out (both streams) and $rc.
in_tree()
{
	out=$(cd "$tree" && env "$@" 2>&1 </dev/null)
	rc=$?
}

in_tree make
is "0 yes" "$rc $([ -f "$tree/build/lib/libncputil.a" ] && echo yes)" "builds"
in_tree make
is "0 " "$rc $out" "builds nothing twice"
in_tree make CFLAGS=-O1
like "CC +build/obj/libncpbus/util/one.o" "$out" "builds again with other flags"
in_tree make CFLAGS=-O1
is "0 " "$rc $out" "but once"
touch "$tree/libncpbus/util/one.c"
in_tree make CFLAGS=-O1 V=1
like "gcc .*-O1.*one.c" "$out" "V=1 shows commands, of gcc unless told otherwise"
in_tree make SANITIZE=address,undefined
is "0 yes" "$rc $([ -f "$tree/build/address-undefined/lib/libncputil.a" ] && echo yes)" \
	"a sanitizer build has a folder of its own"

in_tree VERDICT=ok make check
like "0 .*Files=1, Tests=1,.*Result: PASS" "$rc ${out//$'\n'/ }" "a good test passes"
in_tree VERDICT=ok bash -c "trap '' INT; make check"
like "SigIgn:[[:space:]]*[0-9a-f]*[014589cd] .*Result: PASS" "${out//$'\n'/ }" "with no signal ignored, whoever began it"
in_tree VERDICT="not ok" make check
like "2 .*Result: FAIL" "$rc ${out//$'\n'/ }" "a bad one fails make"
in_tree VERDICT=ok make check T=tests/system/test_told
like "0 .*Tests=1" "$rc ${out//$'\n'/ }" "T= takes a test's name"
in_tree VERDICT=ok make check T=tests/system/
like "0 .*Tests=1" "$rc ${out//$'\n'/ }" "or a folder's"
in_tree VERDICT=ok make check-system
like "0 .*Tests=1" "$rc ${out//$'\n'/ }" "check-system runs tests/system"
in_tree make check T=tests/none
like "2 .*no such test: tests/none" "$rc $out" "a test that is not there is said"

in_tree make help
is "" "$(sed -n 's/^.PHONY: *//p' Makefile | tr ' ' '\n' | grep -vx 'tests\|FORCE' | while read -r t; do
	grep -q "^  make $t " <<<"$out" || echo "$t"; done)" "help has every target"
in_tree make clean
is "0 no" "$rc $([ -e "$tree/build" ] || echo no)" "clean removes the build"

chmod 755 "$TAP_DIR"
if [ "$(id -u)" = 0 ] && setpriv --reuid=1234 --regid=1234 --clear-groups true 2>/dev/null; then
	chown -R 65534:65534 "$tree"
	in_tree make # by root itself, so that the build belongs to root
	in_tree SUDO_UID=65534 SUDO_GID=65534 VERDICT=ok make check
	is "0" "$rc" "under sudo, check builds and passes"
	is "" "$(find "$tree" -user root)" "and leaves no file of root's in the user's tree"
else
	skip 2 "needs root: what sudo make leaves behind"
fi

# A machine that has only what these folders name.
mkdir "$TAP_DIR/bin"
ln -s "$(command -v bash)" "$(command -v id)" "$(command -v gcc)" "$TAP_DIR/bin"
deps() { out=$(env -i PATH="$TAP_DIR/bin" "$@" "$BASH" tests/tools/deps.sh 2>&1); rc=$?; }
deps DEPS=no
like "^2 .*DEPS=no forbids.* tcpdump" "$rc $out" "DEPS=no names what is missing and exits 2"
deps
like "^2 .*tcpdump .*Debian's names" "$rc $out" "so does a system that is not Debian"
out=$(tests/tools/deps.sh 2>&1)
is "0 " "$? $out" "where nothing is missing nothing is done"
