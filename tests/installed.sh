# SPDX-License-Identifier: Apache-2.0
# Sourced by tests that use gie as it is installed: installs this build below $tmp/root and sets the
# environment so that `gie`, pkg-config and modules are found there.
: "${top_builddir:=$PWD}" "${top_srcdir:=.}" "${CC:=cc}" "${MAKE:=make}" "${PKG_CONFIG:=pkg-config}" "${SANITIZE:=}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unset GIE_MODULE_PATH GIE_WORKER GIE_DATA_DIR
$MAKE -s -C "$top_builddir" install DESTDIR="$tmp/root" >"$tmp/install.log" 2>&1 || { cat "$tmp/install.log"; exit 1; }
unset MAKEFLAGS MFLAGS MAKELEVEL
# The .pc files name the real prefix: the copies here name where the files are.
mkdir "$tmp/pkgconfig"
for pc in "$(find "$tmp/root" -name gie.pc)" "$(find "$tmp/root" -name gie-rt.pc)"; do
  sed "s|^prefix=|prefix=$tmp/root|" "$pc" >"$tmp/pkgconfig/${pc##*/}"
done
PKG_CONFIG_PATH=$tmp/pkgconfig
export PKG_CONFIG_PATH
GIE_MODULE_PATH=$($PKG_CONFIG --variable=moduledir gie)
GIE_DATA_DIR=$(dirname "$(find "$tmp/root" -name templates -type d)")
PATH=$(dirname "$(find "$tmp/root" -name gie -type f -perm -u+x)"):$PATH
export GIE_MODULE_PATH GIE_DATA_DIR PATH CC PKG_CONFIG
