# SPDX-License-Identifier: BSD-2-Clause
# ncp.fish - fish completion for ncp's programs.  The options come from their --help, so that none is
# missing here.

# What there is to capture, and the kinds of which more can be made up.
function __ncp_sources
    ncp-producer -D 2>/dev/null | string replace -r ' .*' ''
    ncp-producer --help 2>/dev/null | sed -n '/^SOURCE is one of:/,/^$/s/^  \([a-z]*:\).*/\1/p'
end

function __ncp_busses
    ncp-dump -D 2>/dev/null | string replace -rf '^\d+\.(\S+) .*' '$1'
end

# __ncp_options PROGRAM: short name, long name, argument if it must stand, help, by tabs.
function __ncp_options -a program
    $program --help 2>/dev/null | awk '
	/^  (-[^ -]|   ) ?/ && match($0, /^  (-[^ -])?(, |    )?(--[a-z0-9-]+)?/) && RLENGTH > 2 {
		names = substr($0, 3, RLENGTH - 2)
		rest = substr($0, RLENGTH + 1)
		joined = rest ~ /^\[/
		argument = ""
		# Arguments are in capitals, or words with bars between them; other text is the help.
		if (match(rest, /^\[?[= ]?([A-Z]|[^ ]+\|)[^ \]]*/)) {
			argument = substr(rest, RSTART, RLENGTH)
			rest = substr(rest, RSTART + RLENGTH)
		}
		gsub(/[\[=, ]/, "", argument)
		gsub(/,/, " ", names)
		sub(/^\]? */, "", rest)
		short = long = ""
		n = split(names, name, " ")
		for (i = 1; i <= n; i++)
			if (name[i] ~ /^--/)
				long = substr(name[i], 3)
			else
				short = substr(name[i], 2)
		print short "\t" long "\t" (joined ? "" : argument) "\t" rest
	}'
end

function __ncp_complete -a program
    __ncp_options $program | while read -d \t -l short long argument help
        set -l words -c $program
        test -n "$short"; and set -a words -s $short
        test -n "$long"; and set -a words -l $long
        test -n "$help"; and set -a words -d $help
        switch "$argument"
            case ''
            case BUS
                set -a words -r -f -a '(__ncp_busses)'
            case '*FILE*'
                set -a words -r -F
            case DIR
                set -a words -r -f -a '(__fish_complete_directories)'
            case SOURCE
                set -a words -r -f -a '(__ncp_sources)'
            case GROUP
                set -a words -r -f -a '(__fish_complete_groups)'
            case 'USER*'
                set -a words -r -f -a '(__fish_complete_users)'
            case WHERE
                set -a words -r -f -a 'oldest latest now'
            case '*|*'
                set -a words -r -f -a (string replace -a '|' ' ' -- $argument)
            case '*'
                set -a words -r -f
        end
        complete $words
    end
end

# This file is installed under each program's name, and read for it alone.
for program in ncp-producer ncp-dump ncp-stats ncp-run
    if command -q $program
        __ncp_complete $program
    end
end
complete -c ncp-producer -f -a '(__ncp_sources)'
complete -c ncp-run -n 'not __fish_seen_argument' -f -a '(__fish_complete_subcommand)'
