#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# build.sh FOLDER VERSION - builds the Debian packages of this tree in FOLDER and has lintian judge them
# (make deb).  The tree is copied there first: Debian wants debian/ at its top.
set -eu
folder=$1 version=$2
tree=$folder/ncp-$version

rm -rf "$folder"
mkdir -p "$tree"
tar --exclude=./build --exclude=./.git --exclude=__pycache__ -cf - . | tar -C "$tree" -xf -
cp -r doc/debian "$tree/debian"
rm "$tree/debian/build.sh"
sed -i "s/ncp maintainers <.*>/${DEBFULLNAME:-ncp maintainers} <${DEBEMAIL:-ncp@localhost.localdomain}>/" \
	"$tree"/debian/{control,changelog}
sed -i -e "s/@VERSION@/$version/" -e "s/@DATE@/$(LC_ALL=C date -Ru ${SOURCE_DATE_EPOCH:+-d @$SOURCE_DATE_EPOCH})/" \
	"$tree/debian/changelog"
# The licence's text, as that file wants it: indented, a point for an empty line.
sed -n '/^Redistribution/,$p' LICENSE | sed -e 's/^$/./' -e 's/^/ /' >>"$tree/debian/copyright"

unset MAKEFLAGS MAKELEVEL MFLAGS BUILD SANITIZE CFLAGS CPPFLAGS LDFLAGS CC NCP_BUILD NCP_BIN
(cd "$tree" && dpkg-buildpackage -us -uc -b >../build.log 2>&1) || {
	tail -n 40 "$folder/build.log" >&2
	echo "make deb: failed: see $folder/build.log" >&2
	exit 1
}
quiet=()
[ -n "${DEBEMAIL:-}" ] || quiet=(--suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog)
# Nobody's address is fine for who builds for himself; DEBFULLNAME and DEBEMAIL name a maintainer.
[ "$(id -u)" != 0 ] || quiet+=(--allow-root)
lintian --fail-on error --tag-display-limit 0 "${quiet[@]}" "$folder"/*.changes
ls "$folder"/*.deb
