#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# terminal.sh - a terminal of tmux, its keys and what is on it.  Sourced, behind tests/tap/tap.sh.
# shellcheck disable=SC2034 # pid is of tests/tap/tap.sh

# t COMMAND...: a command to the terminal.
t()
{
	tmux -S "$TAP_DIR/tmux" -u "$@"
}
# page: what is on the terminal.
page()
{
	t capture-pane -p
}
# line N: a line of it; found TEXT: the lines that have a text.
line()
{
	page | sed -n "$1p"
}
found()
{
	page | grep -F -- "$1"
}
# type_keys KEY...
type_keys()
{
	t send-keys "$@"
}
# awaits TEXT: until it is on the page.
awaits()
{
	wait_for "found '$1'" 10
}
# shows COMMAND...: begins it on the terminal, by a shell with job control, and awaits its page.
shows()
{
	type_keys "$*; echo \"ended \$?\"" Enter
	wait_for "found 'q quit'" 10
}

# A terminal of 80 columns and 24 rows with a shell.
terminal_begins()
{
	printf '%s\n' "set -g status off" "set -g default-terminal screen-256color" \
		"set -g default-command 'exec bash --norc --noprofile'" >"$TAP_DIR/tmux.conf"
	t -f "$TAP_DIR/tmux.conf" new-session -d -x 80 -y 24
	pid[tmux]=$(t display -p '#{pid}') # to be ended with the test
	type_keys "PS1='ready '; PATH=$PATH; unset NO_COLOR; stty -a >$TAP_DIR/before; clear" Enter
	wait_for "line 1 | grep -q '^ready'" 5
}
