# SPDX-License-Identifier: BSD-2-Clause
# ncp.bash - bash completion for ncp's programs.  The options come from their --help, so that none is
# missing here.

# _ncp_options PROGRAM: its options, one on each line, and the name of the argument, if it takes one.
_ncp_options()
{
	"$1" --help 2>/dev/null | awk '
	/^  (-[^ -]|   ) ?/ && match($0, /^  (-[^ -])?(, |    )?(--[a-z0-9-]+)?/) && RLENGTH > 2 {
		names = substr($0, 3, RLENGTH - 2)
		rest = substr($0, RLENGTH + 1)
		argument = ""
		# Arguments are in capitals, or words with bars between them; other text is the help.
		if (match(rest, /^\[?[= ]?([A-Z]|[^ ]+\|)[^ \]]*/))
			argument = substr(rest, RSTART, RLENGTH)
		gsub(/[\[=, ]/, "", argument)
		gsub(/,/, " ", names)
		n = split(names, name, " ")
		for (i = 1; i <= n; i++)
			print name[i], argument
	}'
}

# _ncp_sources PROGRAM: what there is to capture, and the kinds of which more can be made up.
_ncp_sources()
{
	"$1" -D 2>/dev/null | cut -d ' ' -f 1
	"$1" --help 2>/dev/null | sed -n '/^SOURCE is one of:/,/^$/s/^  \([a-z]*:\).*/\1/p'
}

_ncp_busses()
{
	ncp-dump -D 2>/dev/null | sed 's/^[0-9]*\.\([^ ]*\) .*/\1/'
}

_ncp()
{
	local program=$1 cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local argument='' words='' i

	COMPREPLY=()
	if [ "${program##*/}" = ncp-run ]; then
		# Behind the program's name its own completion has the word.
		for ((i = 1; i < COMP_CWORD; i++)); do
			[[ ${COMP_WORDS[i]} == -* || ${COMP_WORDS[i - 1]} == -* ]] && continue
			if declare -F _command_offset >/dev/null; then _command_offset "$i"; fi
			return
		done
	fi
	[[ $prev == -* ]] && argument=$(_ncp_options "$program" |
		awk -v option="$prev" '$1 == option { print $2; exit }')
	case $argument in
	BUS) words=$(_ncp_busses) ;;
	FILE | STATEFILE | FILE,*) compopt -o default 2>/dev/null; return ;;
	DIR) compopt -o dirnames 2>/dev/null; return ;;
	GROUP) words=$(compgen -g) ;;
	USER | USER,*) words=$(compgen -u) ;;
	SOURCE) words=$(_ncp_sources "$program") ;;
	WHERE) words="oldest latest now" ;;
	*\|*) words=${argument//|/ } ;;
	'')
		if [[ $cur == -* ]]; then
			words=$(_ncp_options "$program" | cut -d ' ' -f 1)
		elif [ "${program##*/}" = ncp-producer ]; then
			words=$(_ncp_sources "$program")
		elif [ "${program##*/}" = ncp-run ]; then
			words=$(compgen -c -- "$cur")
		fi
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _ncp ncp-producer ncp-dump ncp-stats ncp-run
