#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_report.sh - the benchmarks' report: medians, ratios run by run, what holds, what was not measured.
. tests/tap/tap.sh
plan 6

figures=$TAP_DIR/figures
mkdir "$figures"
# Three runs whose ratios run by run are 0.98, 0.99 and 0.5: their median holds where that of the rates,
# 990 of 1020, would not be the same.
printf '%s\trate\tncp 1\t64\t%s\n' 1 1000 2 1020 3 2000 >"$figures/capture.tsv"
printf '%s\trate\tncp 8\t64\t%s\n' 1 980 2 1009.8 3 1000 >>"$figures/capture.tsv"
printf '%s\tadded\tncp\t10\t%s\n' 1 400 2 500 3 >"$figures/loopback.tsv"
printf '0\tskipped\tfio\t-\t1\n' >"$figures/disk.tsv"
printf '| CPU ns a frame | 64 B | of floor |\n|---|---|---|\n| spans | 0.05 (0.04–0.06) | |\n' >"$figures/ring.md"
echo 1 >"$figures/loopback.status"
report=$TAP_DIR/report.md
ok "$(tests/bench/report.py "$figures" "$report" 3 >&2; echo $?)" "the report is made of a part of the figures"

row()
{
	grep -F "| $1 |" "$report"
}
like '0\.98 \(0\.5–0\.99\) \| ≥ 0\.97 \| holds' "$(row "sender's rate with 8 clients, of with 1, 64 B")" \
	"a ratio is that of the same run's figures, and the median counts"
like '400 \(400–500\) ns \| ≤ 350 ns \| \*\*does not hold' "$(row 'lo: time added to a frame')" \
	"a bar that does not hold is said; a run that noted nothing is left out"
like '0\.05 ns \| ≤ 0\.1 ns \| holds' "$(row 'spans, 64 B')" "a program's table is read"
like '- \| ≥ 0\.95 \| not measured' "$(row "ring full of data: rate to disk, of fio's")" \
	"what was not measured holds nothing"
is 2 "$(grep -c 'left out: fio\.$\|ended early (exit status 1)' "$report")" \
	"a peer that is missing and a section that failed are named"
