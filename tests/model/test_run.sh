#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_run.sh - tests/model/run says "ok" of what was searched to its end, and of nothing else.
. tests/tap/tap.sh
plan 16

cp tests/model/run "$TAP_DIR"
cat >"$TAP_DIR/toy.pml" <<'END'
int n;
byte a[2], i;
init {
	do
	:: n < UP -> n++
	:: else -> break
	od;
#ifdef M_BROKEN
	assert(n < UP);
#elif defined(M_LOG)
	assert(n + 1 < UP);
#elif defined(M_INDEX)
	i = 7;
	a[i] = 1;
#elif defined(M_END)
	n < UP;
#elif defined(M_SYNTAX)
	then;
#elif defined(M_NOTHING)
	skip;
#endif
}
END
cat >"$TAP_DIR/cases" <<'END'
holds quick good toy -DUP=5
fails quick good M_BROKEN
covered quick good M_NOTHING
covered quick good M_BROKEN
fails quick good M_NOTHING
fails quick good M_LOG
fails quick good M_INDEX
fails quick good M_END
fails quick good M_SYNTAX
fails quick good M_BROKEN+M_UNKNOWN
holds quick deep toy -DUP=1100000
fails quick deep M_BROKEN
END
"$TAP_DIR/run" quick >"$TAP_DIR/out" 2>&1
is 1 $? "one that is not ok: exit status 1"

# verdict CASE: the line of its own, without its number.
verdict() { grep -F -- " - $1: " "$TAP_DIR/out" | sed 's/ [0-9]* - [^:]*: / /'; }
is "1..12" "$(head -1 "$TAP_DIR/out")" "a plan for all"
like "^ok holds in [0-9]+ states" "$(verdict good)" "what holds"
like "^ok fails after" "$(grep -m1 '^ok.*M_BROKEN' "$TAP_DIR/out" | sed 's/ [0-9]* - [^:]*: / /')" \
	"what fails as it must"
like "^not ok .*assertion" "$(grep -m1 '^not ok.*M_BROKEN: ' "$TAP_DIR/out")" \
	"what fails and must not"
like "^ok holds" "$(grep '^ok.*M_NOTHING' "$TAP_DIR/out" | sed 's/ [0-9]* - [^:]*: / /')" \
	"what holds because something else covers it"
like "does not see" "$(grep '^not ok.*M_NOTHING' "$TAP_DIR/out")" "what holds and must not"
like "^not ok .*log is too short" "$(verdict "good with M_LOG")" "a full log is no fault found"
like "^not ok no result" "$(verdict "good with M_INDEX")" "nor is an index out of range"
like "^not ok no result" "$(verdict "good with M_END")" "nor is a model that got stuck"
like "^not ok spin" "$(verdict "good with M_SYNTAX")" "nor is one that spin refuses"
like "^not ok .*does not know M_UNKNOWN" "$(verdict "good with M_BROKEN+M_UNKNOWN")" \
	"nor is a name that nobody asks for"
like "^not ok no result" "$(verdict deep)" "a depth that was not enough"

# only ENVIRONMENT...: the verdict on good alone.
only() { env "$@" CASE=good "$TAP_DIR/run" quick 2>&1 | grep -m1 -F " - good: "; }
like "^not ok 1 - good: cc" "$(only JOBS=1 CC=false)" "no compiler"
like "^not ok 1 - good: no result" "$(only JOBS=1 MEMORY=1)" "no memory"
like "^not ok 1 - good: no result" "$(only JOBS=1 LIMIT=0.001)" "no time"
