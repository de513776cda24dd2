#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_run.sh - ncp-run: what it runs, what it refuses, and what programs see of it.
. tests/tap/tap.sh
[ -z "${SANITIZE:-}" ] || skip_all "a sanitized library cannot be loaded into plain programs"
plan 24

export NCP_DIR=$TAP_DIR/busses
mkdir "$NCP_DIR"
bus=$(bus_name run)
library=$NCP_BUILD/lib/ncp/libncp-pcap.so

# run WORD...: ncp-run with these; sets $rc and $out (both streams).
run()
{
	out=$(timeout 20 ncp-run "$@" 2>&1 </dev/null)
	rc=$?
}

run
is "2 ncp-run: no program: see ncp-run --help" "$rc $out" "without a program it says how it is used"
run --nothing tcpdump
like '^2 ncp-run: .*--nothing' "$rc $out" "an option that it does not have is refused"
run no-such-program-anywhere
is "1 ncp-run: no-such-program-anywhere: no such program" "$rc $out" "so is a program that is not there"
run /etc/passwd
like '^1 ncp-run: /etc/passwd: Permission denied$' "$rc $out" "and one that may not be run"
run sh -c 'exit 7'
is "7 " "$rc $out" "the exit status is the program's"
run sh -c 'kill -TERM $$'
is "143" "$rc" "and so is the signal that ends it"
run sh -c 'echo "$LD_PRELOAD"'
is "0 $library" "$rc $out" "the library is preloaded"
out=$(LD_PRELOAD=/nonexistent.so timeout 20 ncp-run sh -c 'echo "$LD_PRELOAD"' 2>/dev/null)
is "/nonexistent.so:$library" "$out" "behind what was there before"
run --from -60s -o ordered --dir /tmp/x --trust-owner me sh -c 'echo "$NCP_PCAP_OPTIONS $NCP_DIR $NCP_TRUST"'
is "0 ,ordered,from=-60s /tmp/x me" "$rc $out" "options go by the environment"
printf '#!/bin/sh\necho "script $1"\n' >"$TAP_DIR/script"
chmod 755 "$TAP_DIR/script"
run "$TAP_DIR/script" one
is "0 script one" "$rc $out" "a script is run"

echo 'int main(void) { return 0; }' >"$TAP_DIR/static.c"
"${CC:-gcc}" -static -o "$TAP_DIR/static" "$TAP_DIR/static.c" || bail "cannot link a static program"
run "$TAP_DIR/static"
is "1 ncp-run: $TAP_DIR/static: it is statically linked: read the bus by a pipe: ncp-dump -i BUS -w - | static -r -" \
	"$rc $out" "a static program is refused, and the way round is named"

mkdir -p "$TAP_DIR/a b/bin" "$TAP_DIR/a b/lib/ncp" "$TAP_DIR/bin"
cp "$NCP_BIN/ncp-run" "$TAP_DIR/a b/bin"
cp "$library" "$TAP_DIR/a b/lib/ncp"
cp "$NCP_BIN/ncp-run" "$TAP_DIR/bin"
out=$("$TAP_DIR/a b/bin/ncp-run" true 2>&1)
like "^1 .*with a blank" "$? $out" "a folder that the loader cannot take is said"
out=$("$TAP_DIR/bin/ncp-run" true 2>&1)
like "^1 ncp-run: libncp-pcap.so: it is not where" "$? $out" "and so is a library that is not there"

run pcap_program loop ncp:
like '^1 pcap_program: ncp:: which bus\?$' "$rc $out" "a device without a bus is refused"
run pcap_program loop "ncp:$bus"
like "^1 pcap_program: no such bus: start ncp-producer" "$rc $out" "and so is one whose bus is not there"
run tcpdump -n -i "ncp:$bus"
like "^1 tcpdump: ncp:$bus: No such device exists.*start ncp-producer" "$rc ${out//$'\n'/ }" \
	"tcpdump says so, too"
run -o never pcap_program loop "ncp:$bus"
like "^1 pcap_program: ncp:$bus: option never: not from=" "$rc $out" "options are looked at there"

run --dir /nonexistent pcap_program loop "ncp:$bus"
like "^1 pcap_program: /nonexistent: No such file" "$rc $out" "as is the folder of the busses"

ncp-producer -b "$bus" -m 8M --keep synth:count=100,pps=0 2>/dev/null
run --from oldest tcpdump -n -i "ncp:$bus"
is 100 "$(grep -c 'IP 10\..*UDP' <<<"$out")" "tcpdump prints a bus"
run tcpdump -D
like "ncp:$bus \(capture bus\)" "$out" "and lists it"

# A program that opens libpcap by dlopen().
cat >"$TAP_DIR/open.py" <<'END'
import ctypes, sys
lib = ctypes.CDLL("libpcap.so.0.8")
lib.pcap_open_live.restype = ctypes.c_void_p
lib.pcap_geterr.restype = ctypes.c_char_p
error = ctypes.create_string_buffer(256)
p = lib.pcap_open_live(sys.argv[1].encode(), 1000, 0, 0, error)
if not p:
    sys.exit(error.value.decode())
head, data, n = ctypes.c_void_p(), ctypes.c_void_p(), 0
while lib.pcap_next_ex(ctypes.c_void_p(p), ctypes.byref(head), ctypes.byref(data)) == 1:
    n += 1
dead = lib.pcap_open_dead
dead.restype = ctypes.c_void_p
print(n, lib.pcap_snapshot(ctypes.c_void_p(p)), lib.pcap_snapshot(ctypes.c_void_p(dead(1, 77))))
END
python=$(command -v /usr/bin/python3 python3 | head -n 1)
run --from oldest "$python" "$TAP_DIR/open.py" "ncp:$bus"
is "0 100 1000 77" "$rc $out" "a program that opens libpcap by dlopen() reads the bus, and its own handles"

# dlsym(RTLD_NEXT) of a library behind ours must find what is behind that library.
cat >"$TAP_DIR/next.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
pid_t getppid(void)
{
	static int calls;
	pid_t (*next)(void) = (pid_t (*)(void))dlsym(RTLD_NEXT, "getppid");
	if (calls++)
		exit(9);
	return next();
}
END
cat >"$TAP_DIR/user.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
int main(void)
{
	return !dlsym(RTLD_DEFAULT, "getpid") || dlsym(RTLD_DEFAULT, "no_such_call") || getppid() <= 0;
}
END
"${CC:-gcc}" -shared -fPIC -o "$TAP_DIR/next.so" "$TAP_DIR/next.c" &&
	"${CC:-gcc}" -o "$TAP_DIR/user" "$TAP_DIR/user.c" || bail "cannot build a library"
LD_PRELOAD=$library:$TAP_DIR/next.so timeout 10 "$TAP_DIR/user"
is 0 $? "what RTLD_NEXT means depends on who asks, as without us"
LD_PRELOAD=$TAP_DIR/next.so timeout 10 ncp-run "$TAP_DIR/user"
is 0 $? "also in the other order"

out=$(nm -D --defined-only "$library" | awk '{ print $3 }' | grep -v '^pcap_' | xargs)
is dlsym "$out" "the library shows calls of libpcap, and dlsym"
