#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_completion.sh - bash, zsh and fish complete every option that a program's --help shows.
. tests/tap/tap.sh

# The programs that people call by hand: all but the one that Wireshark calls.
programs=(ncp-producer)
for main in clients/*/main.c; do
	name=${main%/main.c} name=${name##*/}
	[ "$name" = ncp-extcap ] || programs+=("$name")
done
plan $((3 * ${#programs[@]} + 12))

# wanted PROGRAM: by another way than the completions': every word that begins an option's line.
wanted()
{
	"$1" --help | grep -E '^  (-|    --)' | sed -E 's/(  [^ ].*)  +[a-z].*/\1/' |
		grep -oE '(^|[ ,])(-[a-zA-Z0-9]|--[a-z][a-z0-9-]*)' | tr -d ' ,' | sort -u
}
in_bash()
{
	bash -c '. doc/completion/ncp.bash
		COMP_WORDS=("${@:1}") COMP_CWORD=$(($# - 1))
		_ncp "$1"
		printf "%s\n" "${COMPREPLY[@]}"' bash "$@" | sort -u
}
in_zsh()
{
	# shellcheck disable=SC2016 # zsh's own
	NCP_COMPLETION_TEST=1 zsh -f -c '. doc/completion/_ncp; _ncp_specs $1' zsh "$1"
}
in_fish()
{
	# shellcheck disable=SC2016 # fish's own
	HOME=$TAP_DIR fish --no-config -c 'source doc/completion/ncp.fish; complete -C $argv[1]' "$1" |
		cut -f 1 | sort -u
}

for program in "${programs[@]}"; do
	wanted "$program" >"$TAP_DIR/wanted"
	is "$(cat "$TAP_DIR/wanted")" "$(in_bash "$program" -)" "bash: every option of $program"
	is "$(cat "$TAP_DIR/wanted")" "$(in_zsh "$program" | sed -E 's/^\*(-[a-zA-Z0-9]|--[a-z0-9-]*).*/\1/' |
		sort -u)" "zsh: every option of $program"
	# fish joins a letter to the word "-", and gives no long name where a letter is asked for.
	is "$(grep -e -- "$TAP_DIR/wanted")" "$(in_fish "$program --")" "fish: every option of $program"
done

is "in inout" "$(in_bash ncp-dump -Q i | xargs)" "bash: a choice"
is "in inout" "$(in_fish 'ncp-dump -Q i' | xargs)" "fish: a choice"
like ':value:\(in out inout\)' "$(in_zsh ncp-dump | grep -e '--direction')" "zsh: a choice"
like '^lo$|[[:space:]]lo[[:space:]]' " $(in_bash ncp-producer '' | xargs) " "bash: interfaces for a producer"
is "pcap:" "$(in_bash ncp-producer pcap | grep -x pcap:)" "bash: kinds of sources"
is "synth:" "$(in_fish 'ncp-producer syn' | grep -x synth:)" "fish: kinds of sources"

export NCP_DIR=$TAP_DIR/busses
mkdir "$NCP_DIR"
bus=$(bus_name completion)
publishes()
{
	spawn producer ncp-producer synth:count=10 -b "$bus" -m 8M --keep
	reap producer 10
	[ "$status" = 0 ]
}
run_step "a bus" publishes
is "$bus" "$(in_bash ncp-stats -i comp)" "bash: busses"
is "$bus" "$(in_fish 'ncp-stats -i comp')" "fish: busses"
like ':bus:_ncp_busses$' "$(in_zsh ncp-stats | grep -e '^\*-i')" "zsh: busses"

# zsh reads the programs' names on the first line, fish and bash in the last ones.
all=$(printf '%s\n' "${programs[@]}" | sort | xargs)
is "$all" "$(sed -n '1s/#compdef //p' doc/completion/_ncp | tr ' ' '\n' | sort | xargs)" \
	"zsh's file is for all programs"
is "$all $all" "$(sed -n -e 's/^complete -F _ncp //p' -e 's/^for program in //p' doc/completion/ncp.bash \
	doc/completion/ncp.fish | while read -r line; do tr ' ' '\n' <<<"$line" | sort | xargs; done | xargs)" \
	"so are bash's and fish's"
