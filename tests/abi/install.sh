#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make install` puts down is enough: a program finds the headers and each library through
# pkg-config, links and runs.
set -eu
: "${top_builddir:=$PWD}" "${CC:=cc}" "${MAKE:=make}" "${PKG_CONFIG:=pkg-config}" "${SANITIZE:=}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
$MAKE -s -C "$top_builddir" install DESTDIR="$tmp/root" >"$tmp/install.log" 2>&1 || { cat "$tmp/install.log"; exit 1; }

cat >"$tmp/program.c" <<'END'
#include <gie/gie.h>
#include <stdio.h>

int main(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .no_modules = true};
  struct gie_context *ctx;
  if (gie_context_new(&options, &ctx) != GIE_OK)
    return 1;
  unsigned n = 0;
  while (gie_op_at(ctx, n))
    n++;
  printf("%u ops, last error \"%s\"\n", n, gie_error_text(ctx));
#ifdef BUILD
  printf("pipeline: %s\n", gie_pipeline_default());
#endif
  gie_context_free(ctx);
  return n == 0;
}
END

PKG_CONFIG_PATH=$(dirname "$(find "$tmp/root" -name gie.pc)")
PKG_CONFIG_SYSROOT_DIR=$tmp/root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
libdir=$(dirname "$PKG_CONFIG_PATH")
for library in gie-rt gie; do
  define=
  [ $library = gie-rt ] || define=-DBUILD
  # shellcheck disable=SC2046,SC2086
  $CC $SANITIZE $define "$tmp/program.c" -o "$tmp/program" $($PKG_CONFIG --cflags --libs $library)
  printf '%s: ' "$library"
  LD_LIBRARY_PATH=$libdir "$tmp/program"
done

for so in "$libdir"/gie/modules-*/*.so; do
  [ -e "$so" ] || continue
  symbols=$(${NM:-nm} -D --defined-only "$so" | awk '{print $3}')
  [ "$symbols" = gie_module_init ] || { printf '%s exports more than gie_module_init: %s\n' "$so" "$symbols"; exit 1; }
done
