#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_man.sh - the manual pages: well made, complete for the library, true to its header.
. tests/tap/tap.sh
header=libncpbus/include/ncpbus.h
pages=(doc/man/*.[1-8])
plan $((${#pages[@]} + 10))

# What is installed on this machine is no matter of the page.
for page in "${pages[@]}"; do
	is "" "$(mandoc -Tlint "$page" 2>/dev/null | grep -v 'referenced manual not found')" \
		"mandoc finds nothing in $page"
done
printf '.Dd x\n.Sh NAME\n' >"$TAP_DIR/bad.1"
like "WARNING" "$(mandoc -Tlint "$TAP_DIR/bad.1" 2>&1)" "it would say so"

# references: the pages of ours that one names, of those that are not there.
references()
{
	grep -hoE '^\.Xr (ncp[a-z_-]*) [1-8]' "${pages[@]}" | sort -u | while read -r _ name section; do
		[ -e "doc/man/$name.$section" ] || grep -qx "\.Nm $name\( ,\)\?" doc/man/*."$section" ||
			echo "$name($section)"
	done
}
is "" "$(references)" "no page refers to one of ours that is not there"

# prototypes: from the header, one on each line: result, name, arguments.
prototypes()
{
	"${CC:-gcc}" -E -P -DNCP_MUST_CHECK= "$header" 2>/dev/null | tr '\n' ' ' | tr ';' '\n' |
		sed -e 's/__attribute__((warn_unused_result))//g' |
		grep -oE '(const char \*|int|void) *ncp_[a-z_]+\(.*\)$' |
		sed -e 's/  */ /g' -e 's/ *\* */ */g' -e 's/\* \*/**/g'
}
# synopsis PAGE...: the same from pages.
synopsis()
{
	awk '/^\.Ft / { result = substr($0, 5); next }
	/^\.Fn .*"/ && result {
		line = $0
		sub(/^\.Fn /, "", line)
		name = line
		sub(/ .*/, "", name)
		sub(/^[^ ]* /, "", line)
		gsub(/" "/, ", ", line)
		gsub(/"/, "", line)
		print result (result ~ /\*$/ ? "" : " ") name "(" line ")"
		result = ""
	}' "$@"
}
is "$(grep -c '^	ncp_' libncpbus/ncpbus.map)" "$(prototypes | wc -l)" \
	"the header declares as many calls as the library exports"
is "$(prototypes | sort)" "$(synopsis $(ls doc/man/ncp_*.3) | sort)" \
	"each has one page of section 3, with the header's prototype"
is "$(prototypes | sort)" "$(synopsis doc/man/ncpbus.3 | sort)" "and stands in the overview"

# In the NAME section of the page that has its prototype, so that man finds it.
is "" "$(prototypes | grep -oE 'ncp_[a-z_]+\(' | tr -d '(' | while read -r call; do
	page=$(grep -l "^\.Fn $call \"" doc/man/ncp_*.3)
	sed '/^\.Nd/q' "$page" | grep -qE "^\.Nm $call( ,)?\$" || echo "$call"
done)" "each is named in the NAME section of its page"

# fields: STRUCT FIELD of each public structure.
fields()
{
	"${CC:-gcc}" -E -P "$header" 2>/dev/null | awk '
	/^struct ncp_[a-z_]+ \{/ { name = $2; next }
	/^\}/ { name = "" }
	name {
		gsub(/\[[^]]*\]/, "")
		if (match($0, /\(\*[a-z_]+\)/)) { # a call
			print name, substr($0, RSTART + 2, RLENGTH - 3)
			next
		}
		sub(/^[ \t]*(const )?(struct )?[a-z0-9_]+ /, "")
		gsub(/[*;,]/, " ")
		for (i = 1; i <= NF; i++)
			print name, $i
	}'
}
like "ncp_frame caplen.*ncp_bus_info replaced_next_seq" "$(fields | xargs)" "fields are found"
is "" "$(fields | while read -r struct field; do
	page=$(grep -lE "^\.Vt \"?struct $struct\"?( |\$)" doc/man/ncp_*.3 | head -n 1)
	[ "$struct" != ncp_window ] || page=doc/man/ncp_stats.3
	[ "$struct" != ncp_peer ] || page=doc/man/ncp_bus_info.3
	grep -qE "^\.(It Va|Va)( .*)? $field( |\$)|^\.(It Va|Va) $field( |\$)" "${page:-/dev/null}" ||
		echo "$struct.$field"
done | xargs)" "each field of a public structure has its entry"

constants=$(grep -oE '^(#define |	)NCP_[A-Z_]+' "$header" | grep -oE 'NCP_[A-Z_]+' | sort -u)
is "" "$(for name in $constants; do
	case $name in
	NCP_VERSION | NCP_MUST_CHECK) continue ;;
	esac
	cat doc/man/*.3 | grep -qE "(Dv|Fn) (-)?$name( |\$)" || echo "$name"
done | xargs)" "each constant is explained"

# The overview's example is a program.
example_compiles()
{
	sed -n '/^\.Bd -literal/,/^\.Ed/p' doc/man/ncpbus.3 | sed -e '1d;$d' -e 's/\\e/\\/g' \
		>"$TAP_DIR/example.c"
	"${CC:-gcc}" -Wall -Wextra -Werror -Ilibncpbus/include -fsyntax-only "$TAP_DIR/example.c"
}
run_step "the overview's example compiles" example_compiles
