#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the relocatable directory of `make gpu-bundle`: gie, its worker and modules, the tests and benchmarks that need a
# GPU, and the libraries that the other machine may lack. Not oneDNN, and nothing of CUDA: a driver and CUDA's libraries
# are what that machine has.
#
#   bundle.sh DIR       environment: top_builddir, top_srcdir, MODULES, TESTS, PROGRAMS, TESTED (modules that are tests; paths
#                       below the build), SCRIPTS (below the sources), STRIP
set -eu
: "${top_builddir:=.}" "${top_srcdir:=..}" "${MODULES:=}" "${TESTS:=}" "${PROGRAMS:=}" "${TESTED:=}" "${SCRIPTS:=}" "${STRIP:=strip}"
to=$1
rm -rf "$to"
mkdir -p "$to/bin" "$to/libexec" "$to/modules" "$to/lib" "$to/bench"

# copy FILE FOLDER: the program or module behind libtool's wrapper, stripped. $STRIP may be several words.
copy()
{
  from=$1
  [ ! -f "$(dirname "$1")/.libs/$(basename "$1")" ] || from=$(dirname "$1")/.libs/$(basename "$1")
  cp "$from" "$2/"
  $STRIP "$2/$(basename "$1")"
}

copy "$top_builddir/tools/gie" "$to/libexec"
copy "$top_builddir/tools/gie-worker" "$to/libexec"
for m in $MODULES; do
  case $m in */onednn.la) continue ;; esac
  copy "$top_builddir/$(dirname "$m")/$(basename "$m" .la).so" "$to/modules"
done
mkdir "$to/tested"
for m in $TESTED; do copy "$top_builddir/$(dirname "$m")/$(basename "$m" .la).so" "$to/tested"; done
for s in $SCRIPTS; do
  mkdir -p "$to/$(dirname "$s")"
  cp "$top_srcdir/$s" "$to/$s"
done
for t in $TESTS; do
  mkdir -p "$to/$(dirname "$t")"
  copy "$top_builddir/$t" "$to/$(dirname "$t")"
done
for p in $PROGRAMS; do copy "$top_builddir/$p" "$to/bin"; done
for f in gpu_peers/peers.py gpu_peers/networks.py gpu_peers/ablation.py cuda/sanitize.sh selection.sh selection_problems.py; do cp "$top_srcdir/bench/$f" "$to/bench/"; done

# Shared libraries, but for those that every system has, in its own version, and CUDA's.
find "$to" -type f \( -name '*.so' -o -perm -u+x \) ! -name '*.py' -exec ldd {} \; 2>/dev/null |
  sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u | while read -r lib; do
    case ${lib##*/} in
      ld-linux* | libc.so* | libm.so* | libdl.so* | libpthread.so* | librt.so* | libresolv.so*) ;;
      libstdc++* | libgcc_s* | libz.so* | libcuda.so* | libcudart* | libcublas* | libcudnn* | libnv* | libdnnl*) ;;
      *) cp -L "$lib" "$to/lib/" ;;
    esac
  done

cat >"$to/gie" <<'END'
#!/bin/sh
# gie with the modules and libraries of this directory.
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
GIE_MODULE_PATH=$here/modules${GIE_MODULE_PATH:+:$GIE_MODULE_PATH}
GIE_WORKER=$here/libexec/gie-worker
export LD_LIBRARY_PATH GIE_MODULE_PATH GIE_WORKER
exec "$here/libexec/gie" "$@"
END

cat >"$to/check-gpu" <<'END'
#!/bin/sh
# Runs the tests of this directory that need a GPU, or those that are named; exit 1 if one failed, 77 if all were skipped.
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
GIE_MODULE_PATH=$here/modules GIE_WORKER=$here/libexec/gie-worker top_builddir=$here top_srcdir=$here CK_VERBOSITY=${CK_VERBOSITY-normal}
GIE_TEST_MODULES="$here/modules $here/tested"
export LD_LIBRARY_PATH GIE_MODULE_PATH GIE_WORKER GIE_TEST_MODULES top_builddir top_srcdir CK_VERBOSITY
cd "$here" || exit 1
passed=0 failed=0 skipped=0
for test in ${*:-$(find tests -type f -perm -u+x | sort)}; do
  "./$test"
  rc=$?
  case $rc in
    0) passed=$((passed + 1)) what=PASS ;;
    77) skipped=$((skipped + 1)) what=SKIP ;;
    *) failed=$((failed + 1)) what="FAIL (exit $rc)" ;;
  esac
  echo "$what: $test"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] || exit 1
[ "$passed" != 0 ] || exit 77
END
chmod 755 "$to/gie" "$to/check-gpu"
chmod -R go-w "$to"
du -sk "$to" | awk -v to="$to" '{printf "%s: %.1f MiB\n", to, $1 / 1024}'
