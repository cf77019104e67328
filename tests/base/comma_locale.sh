#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a locale named "comma" in directory $1 whose decimal mark is a comma; used with LOCPATH=$1
# LC_ALL=comma. Needs no installed locale.
set -eu
mkdir -p "$1"
cd "$1"
cat >source <<'END'
LC_NUMERIC
decimal_point ","
thousands_sep "."
grouping 3;3
END LC_NUMERIC
END
cat >charmap <<'END'
<code_set_name> ASCII
<mb_cur_min> 1
<mb_cur_max> 1
CHARMAP
<U0000>..<U007F> /x00 ascii
END CHARMAP
END
localedef -c -f ./charmap -i source ./comma >localedef.log 2>&1 || :
test -f comma/LC_NUMERIC
