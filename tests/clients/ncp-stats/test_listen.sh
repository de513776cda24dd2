#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_listen.sh - ncp-stats as a server: numbers that are true, a death and a return, bad requests.
. tests/tap/tap.sh
plan 19

bus=$(bus_name listen)
serve()
{
	spawn producer ncp-producer "synth:pps=2000,size=200,flows=8" -b "$bus" -m 8M
	wait_for "ncp-stats -i $bus --once --json | grep -q '\"state\":\"live\"'" 5
	spawn stats ncp-stats -i "$bus" --listen=127.0.0.1:0 --interval 0.2
	wait_for "grep -q 'port [0-9]*' $TAP_DIR/stats.err" 5
	port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$TAP_DIR/stats.err")
	wait_for "get /metrics | grep -q ncp_frames_published" 5
}

# get PATH [HEADER: VALUE]...: the answer's body; http the same with its status line.
get()
{
	http "$@" | sed '1,/^$/d'
}
http()
{
	python3 - "$port" "$@" <<-'P'
		import http.client, sys
		c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
		path, headers = sys.argv[2], dict(h.split(": ", 1) for h in sys.argv[3:])
		method = headers.pop("X-Method", "GET")
		c.request(method, path, headers=headers)
		r = c.getresponse()
		body = r.read().decode()
		print(r.status, r.reason)
		print("\n".join(f"{k}: {v}" for k, v in r.getheaders()))
		print()
		print(body, end="")
	P
}
# events EXPRESSION N: the value of a Python expression over l, the bus's objects of N events.
events()
{
	python3 - "$port" "$1" "$2" <<-'P'
		import http.client, json, sys
		c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
		c.request("GET", "/api/v1/events")
		r, l = c.getresponse(), []
		while len(l) < int(sys.argv[3]):
		    line = r.readline().decode()
		    if line.startswith("data: "):
		        l += json.loads(line[6:])
		print(eval(sys.argv[2]))
	P
}

run_step "a server is there" serve
like '^# TYPE ncp_frames_published_total counter' "$(get /metrics | sed -n 2p)" "metrics as text"
is "# EOF" "$(get /metrics "Accept: application/openmetrics-text" | tail -n 1)" \
	"and as OpenMetrics for who asks"
like '^[1-9][0-9]* families$' "$(get /metrics "Accept: application/openmetrics-text; version=1.0.0" |
	tests/clients/ncp-stats/openmetrics.py 2>&1)" "which a strict reader takes"
like 'application/openmetrics-text; version=1.0.0' "$(http /metrics \
	"Accept: application/openmetrics-text; version=1.0.0" | grep -i '^content-type')" "under its name"
is True "$(events "all(a['published'] < b['published'] for a, b in zip(l, l[1:]))" 5)" \
	"events come as looks are taken, and the bus moves"
is "True True True" "$(events "' '.join(map(str, [
	all(o['traffic']['frames'] == o['traffic']['published'] for o in l[1:]),
	all(sum(p['frames'] for p in o['traffic']['protocols']) == o['traffic']['frames'] for o in l[1:]),
	all(s['size'] == '128-255' for o in l[1:] for s in o['traffic']['sizes'] if s['frames'])]))" 5)" \
	"of a slow bus every frame is looked at, and all of them are of the size that was asked for"
is 8 "$(events "len({f['flow'] for o in l for f in o['traffic']['flows']})" 5)" \
	"and of as many flows"
is "403 Forbidden" "$(http / "Host: evil.example" | sed -n 1p)" "a foreign name is refused"
is "405 Method Not Allowed" "$(http /metrics "X-Method: DELETE" | sed -n 1p)" "it only tells"
# Each request on one line: what a browser may send for an address, what another site may.
for host in localhost LOCALHOST:80 127.0.0.1 127.0.0.1:1 '[::1]' '[::1]:10469' 192.0.2.7; do
	echo "$(http /metrics "Host: $host" | sed -n 1p) $host"
done >"$TAP_DIR/good"
for host in localhost.evil.example 127.0.0.1.evil.example 'evil.example:10469' '[' '' 'a@127.0.0.1'; do
	echo "$(http /metrics "Host: $host" | sed -n 1p) $host"
done >"$TAP_DIR/bad"
is 7 "$(grep -c '^200 OK' "$TAP_DIR/good")" "asked by an address or localhost, in any case, it answers"
is 6 "$(grep -c '^40[03] ' "$TAP_DIR/bad")" "and by nothing that only begins like one"
is "200 OK" "$(http /metrics "X-Method: HEAD" | sed -n 1p)" "HEAD"
is "" "$(get /metrics "X-Method: HEAD")" "has no body"
like '^4' "$(http /metrics "X-Long: $(printf '%*s' 30000 '' | tr ' ' x)" | sed -n 1p)" \
	"a request of 30000 bytes is refused"
is "404 Not Found" "$(http /../../etc/passwd | sed -n 1p)" "there is nothing else"
like "default-src 'none'" "$(http / | grep Content-Security-Policy)" "the page may load nothing foreign"

survives()
{
	kill -KILL "${pid[producer]}"
	reap producer 5
	wait_for "get /metrics | grep -q 'ncp_producer_up{bus=\"$bus\"} 0'" 5
	spawn producer ncp-producer "synth:pps=2000,size=200,flows=8" -b "$bus" -m 8M
	wait_for "get /metrics | grep -q 'ncp_producer_up{bus=\"$bus\"} 1'" 5
	wait_for "get /metrics | grep -q 'ncp_producer_starts_total{bus=\"$bus\"} 2'" 5
	# More connections than it has places, and rubbish in them.
	python3 - "$port" <<-'P'
		import socket, sys
		all = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(100)]
		for i, s in enumerate(all):
		    try:
		        s.send(b"GET / HTTP/1.1\r\n" if i % 2 else bytes(range(256)) * 100)
		    except OSError:
		        pass
		for s in all:
		    s.close()
	P
	wait_for "http /metrics | head -n 1 | grep -q 200" 5
	stop stats INT 5
	[ "$status" = 0 ]
	stop producer INT 5
}
run_step "it sees a death and a return, stands rubbish, and ends" survives
is "1 2" "$(ncp-stats --listen=nowhere:1 2>/dev/null; echo -n "$? "; ncp-stats --listen --once 2>/dev/null; echo $?)" \
	"an address that is none, options that do not go together"
