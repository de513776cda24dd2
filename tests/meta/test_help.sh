#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_help.sh - every option that a program's --help shows has its entry in the man page.
. tests/tap/tap.sh

# options: from a help text on stdin, one line for each option: its names, as -x or --name.
options()
{
	sed -nE 's/^  (-[^ ,-])?(, |    )?(--[a-z0-9-]+)?([][ =].*)?$/\1 \3/p' | grep -e -
}

# missing PAGE: of the options on stdin, those that the page (mdoc or man) has no entry for.
missing()
{
	local page entry names name

	# mdoc writes Fl \-name, man \fB\-\-name\fR: one form for both.
	page=$(sed -e 's/\\f[BIRP]//g' -e 's/\\-/-/g' -e 's/Fl \([^ ]\)/Fl -\1/g' "$1")
	# After .TP the entry stands on the next line.
	entry=$(awk 'tag || /^\.(It|IP) /; { tag = /^\.TP/ }' <<<"$page")
	while read -r -a names; do
		for name in "${names[@]}"; do
			grep -qE -e "(^|[ ,])${name}([^a-z0-9-]|\$)" <<<"$entry" || echo "$name"
		done
	done
}

programs=()
for main in producer/main.c clients/*/main.c; do
	name=${main%/main.c}
	[ "$name" = producer ] && name=ncp-producer
	programs+=("$NCP_BIN/${name##*/}")
done
plan $((4 + 2 * ${#programs[@]}))

cat >"$TAP_DIR/help" <<'END'
usage: x -z
  -i, --bus BUS               the bus, see --nothing
  -F FILE                     a file
      --json[=FILE]           JSON
  -Q, --direction in|out|inout
                              frames of one direction only
END
is "-i --bus -F --json -Q --direction" "$(options <"$TAP_DIR/help" | xargs)" \
	"finds the options in a help text"
printf '%s\n' '.It Fl i , Fl \-bus Ar b' '.It Fl \-json Ns Op = Ns Ar file' 'Like Fl F' >"$TAP_DIR/page"
is "-F -Q --direction" "$(options <"$TAP_DIR/help" | missing "$TAP_DIR/page" | xargs)" \
	"sees which have no entry in an mdoc page"
printf '%s\n' '.TP' '\fB\-i\fR, \fB\-\-bus\fR \fIBUS\fR' 'text -F' '.TP' \
	'.BR \-Q ", " \-\-direction' >"$TAP_DIR/page"
is "-F --json" "$(options <"$TAP_DIR/help" | missing "$TAP_DIR/page" | xargs)" \
	"sees which have no entry in a man page"
printf '%s\n' '.It Fl i , Fl \-busses Ar b' >"$TAP_DIR/page"
is "--bus" "$(echo "-i --bus" | missing "$TAP_DIR/page")" "a longer name is another option"

for program in "${programs[@]}"; do
	name=${program##*/}
	"$program" --help </dev/null >"$TAP_DIR/help" 2>&1
	found=$(options <"$TAP_DIR/help")
	like "--help" "$found" "$name --help shows a list of options"
	page=$(compgen -G "doc/man/$name.[18]")
	is "" "$(missing "${page:-/dev/null}" <<<"$found" | xargs)" "its man page has an entry for each"
done
