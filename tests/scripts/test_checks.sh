#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Each style check passes on a small tree that is right, and finds each fault that is put into it.
set -euo pipefail

scripts=$(cd "$(dirname "$0")/../../scripts" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0
count=0

head='// SPDX-License-Identifier: BSD-3-Clause
//
// A file of the tree.'

put() { # PATH TEXT
	mkdir -p "$tree/$(dirname "$1")"
	printf '%s\n' "$2" >"$tree/$1"
}

run() { # CHECK: sets output and status
	status=0
	output=$("$scripts/$1" --root "$tree" 2>&1) || status=$?
}

fail() {
	printf 'FAILED: %s\n%s\n' "$1" "$output"
	failed=1
}

accepts() { # CHECK PATH TEXT
	put "$2" "$3"
	run "$1"
	[ "$status" -eq 0 ] || fail "$1 accepts $2"
	rm "$tree/$2"
	count=$((count + 1))
}

refuses() { # CHECK PATH TEXT EXPECTED-LINE
	put "$2" "$3"
	run "$1"
	[ "$status" -eq 1 ] || fail "$1 on $2: exit status $status"
	grep -qxF -- "$4" <<<"$output" || fail "$1 on $2 says: $4"
	rm "$tree/$2"
	count=$((count + 1))
}

include() { # CHECK-DEPS' VERDICT on PATH that includes TARGET: accepts or EXPECTED-FAULT
	if [ "$1" = accepts ]; then
		accepts check-deps "$2" "#include $3"
	else
		refuses check-deps "$2" "#include $3" "$2:1: $1"
	fi
}

lines() { # N lines of comment
	for ((i = 0; i < $1; i++)); do echo '// line'; done
}

function_of() { # a function of N lines
	printf 'static int f(void)\n{\n'
	for ((i = 0; i < $1 - 3; i++)); do printf '\tf();\n'; done
	printf '}\n'
}

put .clang-format "$(cat "$scripts/../.clang-format")"
for header in config/policy.h config/rights.h config/address.h config/keys.h bpf/counters.h \
	bpf/export.h dataplane/base/slice.h dataplane/net/net.h dataplane/gate/gate.h \
	dataplane/tcp/tcp.h dataplane/smtp/session.h dataplane/smtp/reply_parser.h \
	dataplane/smtp/extension.h dataplane/relay/upstream.h dataplane/pipeline/worker.h \
	dataplane/io/port.h control/log.h tests/unit/lab.h; do
	put "$header" "$head"
done

for check in check-deps check-size check-format; do
	run $check
	[ "$status" -eq 0 ] || fail "$check accepts the tree"
	grep -qE "^$check: .*, 0 faults$" <<<"$output" || fail "$check sums up"
	"$scripts/$check" --help | grep -q -- '--root' || fail "$check --help"
	count=$((count + 1))
done

# ---- check-deps ------------------------------------------------------------------------------

include accepts dataplane/net/a.c '"dataplane/base/slice.h"'
include accepts dataplane/net/a.c '"bpf/counters.h"'
include accepts dataplane/tcp/a.c '"config/address.h"'
include accepts dataplane/tcp/a.c '<string.h>'
include accepts dataplane/tcp/a.c '<rte_hash.h>'
include accepts dataplane/gate/a.c '"config/policy.h"'
include accepts dataplane/relay/a.h '"dataplane/smtp/reply_parser.h"'
include accepts dataplane/relay/a.h '"dataplane/smtp/extension.h"'
include accepts dataplane/pipeline/a.c '"dataplane/smtp/session.h"'
include accepts dataplane/pipeline.c '"dataplane/relay/upstream.h"'
include accepts dataplane/io/a.c '"dataplane/pipeline/worker.h"'
include accepts dataplane/io/a.c '<rte_mbuf.h>'
include accepts dataplane/io/a.c '<rte_ethdev.h>'
include accepts control/a.c '<rte_eal.h>'
include accepts control/a.c '"dataplane/io/port.h"'
include accepts bpf/a.c '<bpf/libbpf.h>'
include accepts bpf/a.bpf.c '"vmlinux.h"'
include accepts config/a.c '<ini.h>'
include accepts tests/unit/a.c '"control/log.h"'

include '"dataplane/tcp/tcp.h": no arrow net -> tcp' dataplane/net/a.c '"dataplane/tcp/tcp.h"'
include '"dataplane/net/net.h": no arrow base -> net' dataplane/base/a.h '"dataplane/net/net.h"'
include '"config/policy.h": no arrow tcp -> config' dataplane/tcp/a.c '"config/policy.h"'
include '"config/keys.h": no arrow gate -> config' dataplane/gate/a.c '"config/keys.h"'
include '"dataplane/smtp/session.h": no arrow relay -> smtp' dataplane/relay/a.c \
	'"dataplane/smtp/session.h"'
include '"dataplane/relay/upstream.h": no arrow smtp -> relay' dataplane/smtp/a.c \
	'"dataplane/relay/upstream.h"'
include '"dataplane/io/port.h": no arrow pipeline -> io' dataplane/pipeline/a.c \
	'"dataplane/io/port.h"'
include '"bpf/export.h": no arrow pipeline -> bpf' dataplane/pipeline.c '"bpf/export.h"'
include '"control/log.h": no arrow io -> control' dataplane/io/a.c '"control/log.h"'
include '"control/log.h": no arrow net -> control' dataplane/net/a.c '  <control/log.h>'
include '"dataplane/base/slice.h": no arrow config -> base' config/a.c '"dataplane/base/slice.h"'
include '"tests/unit/lab.h": no arrow control -> tests' control/a.c '"tests/unit/lab.h"'
include '"net.h" is no path from the root of the repository' dataplane/net/a.c '"net.h"'
include '"../base/slice.h" is no path from the root of the repository' dataplane/net/a.c \
	'"../base/slice.h"'
include '"dataplane/net/../tcp/tcp.h" is no path from the root of the repository' \
	dataplane/net/a.c '"dataplane/net/../tcp/tcp.h"'
include '"vmlinux.h" is no path from the root of the repository' dataplane/net/a.c '"vmlinux.h"'
include 'HEADER: an include that cannot be read here' dataplane/net/a.c 'HEADER'
include '<rte_ethdev.h> in net: only io/ and control/ touch devices, lcores and clocks' \
	dataplane/net/a.c '<rte_ethdev.h>'
include '<rte_cycles.h> in tcp: only io/ and control/ touch devices, lcores and clocks' \
	dataplane/tcp/a.c '<rte_cycles.h>'
include '<rte_mbuf.h> in net: mbufs never leave io/' dataplane/net/a.c '<rte_mbuf.h>'
include '<rte_mbuf_dyn.h> in control: mbufs never leave io/' control/a.c '<rte_mbuf_dyn.h>'
include '<rte_hash.h> in config: DPDK is for dataplane/ and control/' config/a.c '<rte_hash.h>'
include '<bpf/bpf.h> in control: only bpf/ uses libbpf' control/a.c '<bpf/bpf.h>'
include '<ini.h> in control: only config/ uses inih' control/a.c '<ini.h>'
refuses check-deps dataplane/other/a.c '' \
	'dataplane/other/a.c:1: a file in no part that the arrows know'
rmdir "$tree/dataplane/other"

# ---- check-size ------------------------------------------------------------------------------

accepts check-size config/a.c "$(lines 600)"
refuses check-size config/a.c "$(lines 601)" 'config/a.c:601: 601 lines, the limit is 600'
accepts check-size tests/unit/a.c "$(lines 1000)"
refuses check-size tests/unit/a.c "$(lines 1001)" \
	'tests/unit/a.c:1001: 1001 lines, the limit is 1000'
accepts check-size control/a.c "$(function_of 100)"
refuses check-size control/a.c "$(function_of 101)" \
	'control/a.c:1: f has 101 lines, the limit is 100'
refuses check-size control/a.h "$(function_of 101)" \
	'control/a.h:1: f has 101 lines, the limit is 100'
put control/a.c "$(function_of 61)"
run check-size
grep -qxF 'control/a.c:1: note: f has 61 lines' <<<"$output" || fail 'check-size lists 61 lines'
[ "$status" -eq 0 ] || fail 'check-size only lists 61 lines'
put control/a.c "$(function_of 60)"
run check-size
! grep -q note <<<"$output" || fail 'check-size does not list 60 lines'
rm "$tree/control/a.c"
count=$((count + 2))

# ---- check-format ----------------------------------------------------------------------------

todo='TO''DO'
script='#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A script of the tree.'
accepts check-format config/a.c "$head
int a;"
accepts check-format bpf/a.h '/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file of the tree.
 */'
accepts check-format scripts/a "$script
set -eu"
refuses check-format config/a.c "$head
int  a;" 'config/a.c:4: not as clang-format writes it'
refuses check-format tests/unit/a.h "$head
int  a;" 'tests/unit/a.h:4: not as clang-format writes it'
refuses check-format config/a.c 'int a;' \
	'config/a.c:1: the first line is no SPDX-License-Identifier'
refuses check-format config/a.c '// SPDX-License-Identifier: BSD-3-Clause
int a;' 'config/a.c:2: no comment that says what the file is for'
refuses check-format config/a.c "$head
// $todo: more" "config/a.c:4: leftover: $todo"
refuses check-format README.md 'blank at the end ' 'README.md:1: trailing blanks'
refuses check-format scripts/a "$script
set -eu
if" "scripts/a:1: bash -n: $tree/scripts/a: line 6: syntax error: unexpected end of file"
refuses check-format scripts/a "$script
set -u" 'scripts/a:1: no "set -eu"'
refuses check-format scripts/a '#!/bin/sh
set -eu' 'scripts/a:2: the first line is no SPDX-License-Identifier'
refuses check-format scripts/a.py '# SPDX-License-Identifier: BSD-3-Clause
# A script of the tree.
def' 'scripts/a.py:3: python: invalid syntax'

echo "test_checks: $count cases, $([ $failed -eq 0 ] && echo none || echo some) failed"
exit $failed
