#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# check.sh - ncp-stats --listen as its readers see it: a Prometheus server, a browser.  make check-web.
#
# Needs prometheus and chromium-driver.  With NCP_SCREENSHOTS=FOLDER it leaves pictures of the page there.
. tests/tap/tap.sh
plan 13
command -v chromedriver >/dev/null && command -v promtool >/dev/null && command -v prometheus >/dev/null ||
	skip_all "needs Debian's chromium-driver and prometheus"

bus=$(bus_name web)
# browse WIDTH HEIGHT: open the page; ask LINE: say a line to browser.py, print its answer.
browse()
{
	coproc browser { exec python3 tests/web/browser.py "http://127.0.0.1:$port/" "$1" "$2"; }
}
ask()
{
	local answer

	echo "${1//$'\n'/ }" >&"${browser[1]}"
	read -r -t 90 answer <&"${browser[0]}" && echo "$answer"
}
leave()
{
	local browser_pid=$browser_PID

	exec {browser[1]}>&-
	wait "$browser_pid"
}
# The points of the chart of frames.
points='(document.querySelector("#chart-frames path").getAttribute("d").match(/[ML]/g) || []).length'

begins()
{
	spawn producer ncp-producer "synth:pps=5000,imix,flows=30" -b "$bus" -m 8M
	wait_for "ncp-stats -i $bus --once --json | grep -q '\"state\":\"live\"'" 5
	spawn dump ncp-dump -i "$bus" -w /dev/null
	spawn slow ncp-dump -i "$bus" -w /dev/null
	spawn stats ncp-stats -i "$bus" --listen=127.0.0.1:0 --interval 0.5
	wait_for "grep -q 'port [0-9]*' $TAP_DIR/stats.err" 5
	port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$TAP_DIR/stats.err")
}
run_step "a bus, two clients, a server" begins

scrapes()
{
	cat >"$TAP_DIR/prometheus.yml" <<-Y
		global: {scrape_interval: 1s, evaluation_interval: 1s}
		rule_files: [$PWD/doc/prometheus/ncp.rules.yml]
		scrape_configs:
		  - {job_name: ncp, static_configs: [{targets: ["127.0.0.1:$port"]}]}
	Y
	at=127.0.0.1:$((20000 + port % 10000))
	spawn prometheus prometheus --config.file="$TAP_DIR/prometheus.yml" \
		--storage.tsdb.path="$TAP_DIR/tsdb" --web.listen-address="$at"
	wait_for "[ \"\$(query 'count_over_time(ncp_producer_up{bus=\"$bus\"}[2m])')\" -ge 60 ]" 90
}
# query EXPRESSION: the first value of its result; fails without one.
query()
{
	python3 - "$at" "$1" <<-'P'
		import json, sys, urllib.parse, urllib.request
		url = f"http://{sys.argv[1]}/api/v1/query?query=" + urllib.parse.quote(sys.argv[2])
		print(json.load(urllib.request.urlopen(url))["data"]["result"][0]["value"][1])
	P
}
run_step "a Prometheus server scrapes it for a minute" scrapes
is "" "$(python3 -c "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:$port/metrics').read().decode(), end='')" | promtool check metrics 2>&1)" \
	"promtool has nothing to complain about"
is 0 "$(promtool test rules doc/prometheus/ncp.rules.test.yml >"$TAP_DIR/rules" 2>&1; echo $?)" \
	"the alerts fire when they should"
# Each expression of the dashboard with its variables filled in.
is "" "$(python3 - <<-'P' | while read -r expr; do query "$expr" >/dev/null 2>&1 || echo "$expr"; done
	import json
	for p in json.load(open("doc/prometheus/ncp.dashboard.json"))["panels"]:
	    for t in p["targets"]:
	        print(t["expr"].replace("$bus", ".*").replace("$__rate_interval", "30s"))
P
)" "every query of the dashboard returns data"
is_near()
{
	python3 -c "import sys; sys.exit(not 0.9 * $2 <= $1 <= 1.1 * $2)"
}
run_step "and the rate is the one that was asked for" \
	is_near "$(query "rate(ncp_frames_published_total{bus=\"$bus\"}[30s])")" 5000

sees_a_page()
{
	browse 1200 1250
	[ "$(ask "wait 30 document.querySelector('#chart-frames path') && $points >= 10")" = true ]
	[ "$(ask "[...document.querySelectorAll('#clients td:first-child')].map(e => e.textContent)")" \
		= '["ncp-dump", "ncp-dump"]' ]
	[ "$(ask "document.querySelectorAll('#flows div').length")" = 10 ]
}
run_step "in a browser the charts move, clients and flows are there" sees_a_page

# 8 MiB pass in some six seconds; it stands still.
late()
{
	kill -STOP "${pid[slow]}"
	[ "$(ask "wait 60 document.querySelector('#clients tr.late')")" = true ]
	[ -z "${NCP_SCREENSHOTS:-}" ] || ask "picture $NCP_SCREENSHOTS/ncp-stats.png"
	kill -CONT "${pid[slow]}"
}
run_step "a client that stands still turns up as one that is late" late

# Nothing stands beside the page at a phone's width, however long names are.
fits_a_phone()
{
	ask "size 360 740"
	[ "$(ask "innerWidth")" = 360 ]
	[ "$(ask "wait 10 document.documentElement.scrollWidth <= innerWidth")" = true ]
	[ "$(ask "[...document.querySelectorAll('h2, svg, #facts div, .bars span, .gauge')].every(e => {
		const at = e.getBoundingClientRect(); return at.left >= 0 && at.right <= 360 && at.width > 0 })")" = true ]
}
run_step "at a phone's width it does not scroll sideways" fits_a_phone
# The least contrast of what is text (4.5 is wanted) or a line (3), as a share of that.  Source: WCAG 2.1, 1.4.
contrast='(() => {
	const css = getComputedStyle(document.documentElement), light = (name) => {
		const e = document.createElement("i");
		e.style.color = css.getPropertyValue(name);
		document.body.append(e);
		const parts = getComputedStyle(e).color.match(/[0-9.]+/g).slice(0, 3).map((x) => x / 255);
		e.remove();
		const [r, g, b] = parts.map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	}, to = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
	return Math.min(...["--text", "--dim", "--kernel"].map((c) => to(light(c), light("--card")) / 4.5),
		...["--frames", "--bits", "--lost"].map((c) => to(light(c), light("--card")) / 3));
})()'
both_schemes()
{
	local back scheme

	back=
	for scheme in light dark; do
		ask "scheme $scheme"
		[ "$(ask "matchMedia('(prefers-color-scheme: $scheme)').matches")" = true ]
		[ "$(ask "getComputedStyle(document.body).backgroundColor")" != "$back" ]
		back=$(ask "getComputedStyle(document.body).backgroundColor")
		[ "$(ask "$contrast >= 1")" = true ]
	done
	ask "scheme light"
	ask "size 1200 1250"
}
run_step "dark and light differ, and are readable" both_schemes

# Clients that read nothing: the table has its end, and who is late is in it.
many()
{
	spawn many env PYTHONPATH="$PWD/clients/python" NCPBUS_LIBRARY="$NCP_BUILD/lib/libncpbus.so.0" \
		/usr/bin/python3 tests/clients/ncp-stats/many.py "$bus" 500
	wait_for "grep -q ready $TAP_DIR/many.out" 30
	[ "$(ask "wait 30 document.querySelectorAll('#clients tr').length == 66")" = true ]
	[ "$(ask "document.querySelector('#clients tr:last-child').textContent")" = '"and 438 more"' ]
	[ "$(ask "document.querySelectorAll('#ring .client').length")" = 64 ]
	[ "$(ask "wait 60 document.querySelector('#clients tr.late')")" = true ]
	[ "$(ask "document.querySelector('#clients tr:nth-child(2)').className")" = '"late"' ]
	stop many TERM 10
	[ "$(ask "wait 30 document.querySelectorAll('#clients tr').length == 3")" = true ]
}
run_step "of 502 clients the table has 64, the late ones first" many

survives()
{
	local before

	before=$(ask "$points")
	stop producer KILL 5
	[ "$(ask "wait 30 document.querySelector('#facts b').textContent == 'dead'")" = true ]
	spawn producer ncp-producer "synth:pps=5000,imix,flows=30" -b "$bus" -m 8M
	[ "$(ask "wait 30 document.querySelector('#facts b').textContent == 'live'")" = true ]
	[ "$(ask "document.querySelector('#facts').lastChild.textContent")" = '"2epoch"' ]
	[ "$(ask "$points")" -gt "$before" ]
	leave
	[ -z "${NCP_SCREENSHOTS:-}" ] || {
		browse 480 2300
		ask "wait 60 document.querySelector('#chart-frames path') && $points >= 30"
		ask "picture $NCP_SCREENSHOTS/ncp-stats-phone.png"
		leave
	}
}
run_step "the page goes on over the producer's death and return" survives
ends()
{
	local name

	for name in stats slow dump producer prometheus; do stop "$name" INT 10; done
}
run_step "all end" ends
