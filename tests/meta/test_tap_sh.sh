#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_tap_sh.sh - tap.sh itself: a step that fails must be seen to fail, and nothing stays behind.
# shellcheck disable=SC2016 # what is quoted are scripts to be run
. tests/tap/tap.sh
plan 41

# run CI TEXT: run a test of that text; sets $out (stdout), $err (stderr) and $rc.
run()
{
	printf '%s\n' '. tests/tap/tap.sh' "$2" >"$TAP_DIR/script"
	out=$(CI=$1 bash "$TAP_DIR/script" 2>"$TAP_DIR/script.err" </dev/null)
	rc=$?
	err=$(<"$TAP_DIR/script.err")
}

run '' 'plan 3; ok 0 one; is a a two; like "^a+$" aaa three'
is "0 1..3 ok 1 - one ok 2 - two ok 3 - three" "$rc ${out//$'\n'/ }" "all good is exit status 0"
run '' 'plan 1; false; ok $? one'
is "1 1..1 not ok 1 - one" "$rc ${out//$'\n'/ }" "a failed result is exit status 1"
run '' 'plan 1; is a b one'
is "1 1..1 not ok 1 - one" "$rc ${out//$'\n'/ }" "two words that differ are a failure"
like "want a.*got b" "${err//$'\n'/ }" "and both are shown"
run '' 'plan 1; like "^a" b one'
is "1 1..1 not ok 1 - one" "$rc ${out//$'\n'/ }" "a match that is none is a failure"
run '' 'plan 2; ok 0 one'
is 1 "$rc" "fewer results than planned are a failure"
run '' 'plan 1; ok 0 one; ok 0 two'
is 1 "$rc" "more results than planned are a failure"
run '' 'ok 0 one'
is "255 Bail out!  a result before the plan" "$rc $out" "a result before the plan bails out"
run '' 'plan 1; exit 7'
is 7 "$rc" "an exit status of its own is kept"
run '' 'skip_all no moon'
is "0 1..0 # SKIP no moon" "$rc $out" "skip_all is no failure for a person"
run true 'skip_all no moon'
is "1 1..1 not ok 1 - skipped in CI: no moon" "$rc ${out//$'\n'/ }" "but it is one in CI"
run '' 'plan 1; skip 1 no moon'
is "0 1..1 ok 1 - # SKIP no moon" "$rc ${out//$'\n'/ }" "skip is no failure for a person"
run true 'plan 1; skip 1 no moon'
is 1 "$rc" "but it is one in CI"

run '' 'plan 1; f() { x=set; echo noise; spawn s true; reap s 5; }; run_step "does it" f
	[ "$x $status" = "set 0" ] || exit 9'
is "0 1..1 ok 1 - does it" "$rc ${out//$'\n'/ }" "a step runs in the test's own shell, quietly"
is "" "$err" "a good step says nothing"
run '' 'plan 1; f() { echo some noise; ls /nonexistent; x=beyond; }
	run_step "does it" f; [ -z "$x" ] || exit 9'
is "1 1..1 not ok 1 - does it" "$rc ${out//$'\n'/ }" "a step ends at its first failing command"
like "exit status 2 of .*script:2: ls /nonexistent" "$err" "names the command and its line"
like "# some noise" "$err" "and shows what the step printed"
run '' 'plan 1; g() { false; y=beyond; }; f() { g; x=beyond; }
	run_step "does it" f; [ -z "$x$y" ] || exit 9'
is "1 1..1 not ok 1 - does it" "$rc ${out//$'\n'/ }" "also when that is in a function it calls"
like "script:2: false" "$err" "and names the innermost command"
run '' 'plan 1; f() { is_none=$(false); x=beyond; }; run_step "does it" f; [ -z "$x" ] || exit 9'
is "1 1..1 not ok 1 - does it" "$rc ${out//$'\n'/ }" "and when it is a substitution"
run '' 'plan 2; f() { if false; then :; fi; ! false; false || true; }; run_step "one" f
	g() { return 3; }; run_step "two" g'
is "1 1..2 ok 1 - one not ok 2 - two" "$rc ${out//$'\n'/ }" \
	"conditions may fail; a bare return may not"
run '' 'plan 1; run_step "does it" true'
is "255 1..1 Bail out!  run_step: true is no function" "$rc ${out//$'\n'/ }" \
	"a step must be a function"

run '' 'plan 1; n=0; wait_for "[ \$((++n)) = 3 ]" 20; ok $? done; [ $n = 3 ] || exit 9'
is 0 "$rc" "wait_for sees a condition come true"
run '' 'plan 1; ! wait_for false 0; ok $? done'
is 0 "$rc" "wait_for gives up at its deadline"
like "in vain for: false" "$err" "and says what it waited for"

run '' 'plan 3; spawn a sh -c "echo out; echo err >&2; exit 5"; reap a 20; is 5 $status status
	is out "$(<"$TAP_DIR/a.out")" out; is err "$(<"$TAP_DIR/a.err")" err'
is 0 "$rc" "spawn and reap give output and exit status"
run '' 'plan 2; spawn a sleep 1000; stop a INT 20; is 130 $status int
	spawn a sleep 1000; stop a KILL 20; is 137 $status kill'
is 0 "$rc" "a spawned process can be interrupted and killed"
run '' 'plan 2; spawn a sleep 1000; p=${pid[a]}; ! reap a 0; ok $? late; ! tap_runs $p; ok $? gone'
is 0 "$rc" "what does not end in time is killed"

# Prints the processes of a test that ended otherwise than by itself, then their traces.
run '' 'spawn a sleep 1000; spawn b sh -c "sleep 1000 & wait"; kill -STOP ${pid[a]}
	: >/dev/shm/ncp.$(bus_name x); mkdir /dev/shm/ncp.$(bus_name x)+clients
	wait_for "pgrep -g ${pid[b]} sleep" 20
	echo ${pid[a]} ${pid[b]} $(pgrep -g ${pid[b]} sleep) $TAP_DIR $TAP_ID; kill -TERM $$; sleep 9'
read -r p_a p_b p_c dir id <<<"$out"
is 143 "$rc" "SIGTERM ends a test"
ok "$([ -n "$p_a" ] && ! tap_runs "$p_a"; echo $?)" "and its stopped process"
ok "$([ -n "$p_b" ] && ! tap_runs "$p_b"; echo $?)" "and its running one"
ok "$([ -n "$p_c" ] && ! tap_runs "$p_c"; echo $?)" "and that one's child"
ok "$([ -n "$dir" ] && [ ! -e "$dir" ]; echo $?)" "and its folder"
is "" "$(compgen -G "/dev/shm/ncp.*$id*")" "and its busses"

# Whoever may not make namespaces here has said so in the test before.
if [ "$(id -u)" = 0 ] && ip netns add "ncp-probe-$TAP_ID" 2>/dev/null; then
	ip netns del "ncp-probe-$TAP_ID"
	run '' 'need_net; plan 3; f() { netns_make a; netns_make b; veth_pair a e0 b e1; }
		run_step "a pair" f
		is 2 "$(ip netns list | grep -c "$TAP_ID")" "two of them"
		is 1 "$(in_netns b cat /sys/class/net/e1/carrier)" "joined"
		echo "# $TAP_ID"'
	is "0" "$rc" "makes namespaces joined by a veth pair"
	id=${out##*# }
	is "" "$(ip netns list | grep -- "$id")" "and removes them"
	chmod 755 "$TAP_DIR" && chmod 644 "$TAP_DIR/script"
	out=$(CI='' setpriv --reuid=65534 --regid=65534 --clear-groups \
		bash "$TAP_DIR/script" 2>"$TAP_DIR/script.err" </dev/null)
	rc=$?
	if [[ $out == *"# SKIP"* ]]; then
		skip 1 "an unprivileged user may make none here: ${out#*# SKIP }"
	else
		is 0 $rc "an unprivileged user makes them in a user namespace"
	fi
	run '' 'TAP_USERNS=1; need_root for rights; plan 1; ok 0 one'
	is "0 1..0 # SKIP needs root: for rights" "$rc $out" "a user namespace is not root"
else
	skip 4 "needs root and network namespaces"
fi
id1=$(bus_name a) id2=$(bus_name b)
like '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' "$id1" "bus_name gives a valid name"
ok "$([ "$id1" != "$id2" ]; echo $?)" "and another for another stem"
