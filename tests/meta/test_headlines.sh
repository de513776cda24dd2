#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_headlines.sh - every file opens with its licence and its purpose, as doc/style.md says.
. tests/tap/tap.sh
plan 8

# violations TREE: a line for each file that opens otherwise.
violations()
{
	local tree=$1 file name line head=()

	while read -r file; do
		name=${file##*/}
		# A Python package's first file bears the package's name.
		[ "$name" != __init__.py ] || { name=${file%/*} && name=${name##*/}; }
		mapfile -t -n 3 head <"$file"
		case $name in
		*.[ch])
			line="/* SPDX-License-Identifier: BSD-2-Clause */"
			[ "${head[0]}" = "$line" ] && [[ ${head[1]} == "/* $name - "* ]] ;;
		*)
			# What is imported or sourced needs no interpreter.
			[[ ${head[0]} == "#!"* ]] && head=("${head[@]:1}")
			[ "${head[0]}" = "# SPDX-License-Identifier: BSD-2-Clause" ] &&
				[[ ${head[1]} =~ ^('# '|'"""')"$name - " ]] ;;
		esac || echo "${file#"$tree"/}"
	done < <(find "$tree"/{producer,libncpbus,clients,tests} \
		\( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' \) 2>/dev/null)
}

# verdict FILE LINE...: whether a file of those lines opens well.
verdict()
{
	local tree=$TAP_DIR/tree

	rm -rf "$tree"
	mkdir -p "$tree/tests"
	printf '%s\n' "${@:2}" >"$tree/tests/$1"
	[ -z "$(violations "$tree")" ] && echo good || echo bad
}

c='/* SPDX-License-Identifier: BSD-2-Clause */' sh='# SPDX-License-Identifier: BSD-2-Clause'
is good "$(verdict x.c "$c" '/* x.c - a purpose. */')" "a C file with both is good"
is bad "$(verdict x.c '/* x.c - a purpose. */')" "one without a licence is bad"
is bad "$(verdict x.h "$c" '/* x.c - a purpose. */')" "one with another's name is bad"
is bad "$(verdict x.c "$c")" "one without a purpose is bad"
is good "$(verdict x.sh '#!/bin/bash' "$sh" '# x.sh - a purpose.')" "a script with both is good"
is good "$(verdict x.py "$sh" '"""x.py - a purpose."""')" "so is a module without interpreter"
is bad "$(verdict x.sh '#!/bin/bash' '# x.sh - a purpose.')" "one without a licence is bad"
is "" "$(violations .)" "every file of this tree opens well"
