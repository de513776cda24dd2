#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_disks.sh - disks that fail, fill, freeze, turn read-only or go: what was written stays.

. tests/tap/tap.sh
need_root "mounts file systems of its own"
need_mounts
plan 16

bus=$(bus_name disks)
export NCP_DIR=$TAP_DIR/shm
disk=$TAP_DIR/disk
file=$disk/x.pcapng
mkdir "$NCP_DIR" "$disk"
mount -t tmpfs tmpfs "$NCP_DIR" || bail "cannot mount a tmpfs"
unmount()
{
	local status=$?

	fsfreeze -u "$disk" 2>/dev/null
	umount -l "$disk" "$NCP_DIR" 2>/dev/null
	(exit $status)
	tap_on_exit
}
trap unmount EXIT

# on_disk SENTENCE FUNCTION...: a step that needs disk_make.
loop() { false; }
! has_loop || loop() { true; }
on_disk()
{
	run_step_if loop "no loop device can be mounted" "$@"
}

# disk_make KIND SIZE [MOUNT-OPTION]: a file system in a file, at $disk.
disk_make()
{
	rm -f "$TAP_DIR/image"
	truncate -s "$2" "$TAP_DIR/image"
	"mkfs.$1" -q "$TAP_DIR/image" >/dev/null
	mount -o "loop${3:+,$3}" "$TAP_DIR/image" "$disk"
}

# The file system as the next start finds it.
disk_again()
{
	umount "$disk"
	mount -o loop "$TAP_DIR/image" "$disk"
}

begin()
{
	spawn producer ncp-producer "synth:pps=$1,size=500" -b "$bus" -m "$2"
	wait_for "ncp-dump -D | grep -q '$bus .live'" 5
}

dump()
{
	spawn dump ncp-dump -i "$bus" -w "$file" --json "$@"
}

grown()
{
	wait_for "[ \$(stat -c %s '$file') -gt $1 ]" 20
}

# failed REGEX: the dump has ended with one error, and a summary that adds up.
failed()
{
	reap dump 20
	cat "$TAP_DIR/dump.err"
	[ "$status" = 1 ]
	[ "$(grep -c '"error"' "$TAP_DIR/dump.err")" = 1 ]
	grep '"error"' "$TAP_DIR/dump.err" | grep -Eq "$1"
	saved=$(tail -n 1 "$TAP_DIR/dump.err" | python3 -c "import json,sys
s=json.loads(sys.stdin.readline())
for w in s['windows']:
	assert w['frames'] + w['filtered'] + w['others'] + w['lost'] == w['next_seq'] - w['first_seq'], s
print(s['frames'])")
	grep -q "[^0-9]$saved frames (" "$TAP_DIR/dump.err"
}

# kept [OPERATOR]: so many frames as were said to be saved are in the file, one after the other.
kept()
{
	[[ $(frame_check "$file") =~ ^frames=([0-9]+).*holes=0\ duplicates=0\ other=0$ ]]
	echo "said $saved, kept ${BASH_REMATCH[1]}"
	[ "${BASH_REMATCH[1]}" "${1:--eq}" "$saved" ]
}

run_step "frames come, 10 MB a second" begin 20000 64M

# EDQUOT as the kernel gives it, through io_uring and O_DIRECT; in a file system that checksums.
quota()
{
	disk_make btrfs 256M
	btrfs quota enable "$disk"
	btrfs qgroup limit 24M "$disk"
	dump "$@"
	failed 'Disk quota exceeded: (at least )?[0-9]+ frames .* are saved: '
	[ "$saved" -gt 1000 ]
	# Here nothing can even be cut off without room for it.
	btrfs qgroup limit none "$disk"
	ncp-dump --repair "$file"
	kept -ge
	umount "$disk"
}
btrfs_laps()
{
	disk_make btrfs 256M
	spawn fast ncp-producer "synth:count=300000,size=500" -b "$bus.fast" -m 8M --wait-clients 1
	wait_for "ncp-dump -D | grep -q '$bus.fast '" 5
	ncp-dump -i "$bus.fast" -w "$file" --from oldest
	reap fast 10
	[[ $(frame_check "$file") =~ holes=0\ duplicates=0 ]]
	tshark -r "$file" -o udp.check_checksum:TRUE -T fields -e frame.number \
		-Y 'udp.checksum.status != 1' >"$TAP_DIR/bad"
	[ ! -s "$TAP_DIR/bad" ]
	umount "$disk"
}
if modprobe btrfs 2>/dev/null || grep -qw btrfs /proc/filesystems; then
	on_disk "a quota, on btrfs" quota
	on_disk "a quota, by pwrite" quota --writer pwrite
	on_disk "btrfs while the ring is lapped: every frame right or in a gap" btrfs_laps
else
	skip 3 "this kernel has no btrfs"
fi

# beyond ERROR: writes behind 8 MB fail so; those in place do not.
beyond()
{
	disk_make ext4 64M
	spawn dump no_write "$1" 8000000 ncp-dump -i "$bus" -w "$file" --json --writer pwrite
	failed "$2: .* are saved"
	kept
	[ "$saved" -gt 10000 ]
	umount "$disk"
}
on_disk "EIO of a write: what is before it is kept, and counted" beyond EIO "Input/output error"
on_disk "EDQUOT of a write, where there is no btrfs: likewise" beyond EDQUOT "Disk quota exceeded"

# The whole disk stops: nothing can be cut off, written or made durable any more.
# 0x8004587d: FS_IOC_SHUTDOWN; 1: the journal is written, 2: not even that.
shut_down()
{
	python3 -c 'import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("=I", int(sys.argv[2])))' "$disk" "$1"
}
dead_disk()
{
	disk_make ext4 128M
	dump --sync 0.2
	grown 15000000
	shut_down "$1"
	failed 'Input/output error: at least [0-9]+ frames .* are saved: ncp-dump --repair'
	[ "$saved" -gt 1000 ]
	disk_again
	ncp-dump --repair "$file"
	kept -ge
	umount "$disk"
}
on_disk "a disk that dies: after --repair at least what was synced is there" dead_disk 2
on_disk "a disk that dies with its journal written: likewise" dead_disk 1

read_only()
{
	disk_make ext4 128M errors=remount-ro
	dump --sync 0.2
	grown 10000000
	echo test >"/sys/fs/ext4/$(basename "$(findmnt -no SOURCE "$disk")")/trigger_fs_error"
	failed 'at least [0-9]+ frames .* are saved: ncp-dump --repair'
	[ "$saved" -gt 1000 ]
	mount | grep " $disk " # for a look, if it fails
	# No fsck: an extent that the last transaction left across the end of a file it clears whole.
	disk_again
	ncp-dump --repair "$file"
	kept -ge
	umount "$disk"
}
on_disk "a file system that turns read-only: likewise" read_only
read_only_before()
{
	local out status=0

	disk_make ext4 16M
	mount -o remount,ro "$disk"
	out=$(ncp-dump -i "$bus" -w "$file" 2>&1) || status=$?
	umount "$disk"
	echo "$out"
	[ "$status" = 1 ]
	[ "$out" = "ncp-dump: $file: Read-only file system: 0 frames (0 bytes) are saved" ]
}
on_disk "one that was read-only before: one line" read_only_before

# removed WHAT: it is noticed, though writes go on to succeed.
removed()
{
	disk_make ext4 64M
	mkdir "$disk/d"
	file=$disk/d/x.pcapng
	dump
	grown 3000000
	rm -r "${disk:?}/$1"
	failed 'it was removed: 0 frames \(0 bytes\) are saved'
	umount "$disk"
	file=$disk/x.pcapng
}
on_disk "its directory is removed: said, and nothing is called saved" removed d
on_disk "the file alone is removed: likewise" removed d/x.pcapng
moved()
{
	disk_make ext4 64M
	mkdir "$disk/d"
	file=$disk/d/x.pcapng
	dump
	grown 3000000
	mv "$disk/d" "$disk/e"
	file=$disk/e/x.pcapng
	grown 16000000
	stop dump INT 10
	[ "$status" = 0 ]
	saved=$(tail -n 1 "$TAP_DIR/dump.err" | sed 's/.*"frames":\([0-9]*\),"filtered.*/\1/')
	kept
	umount "$disk"
	file=$disk/x.pcapng
}
on_disk "its directory gets another name: the capture goes on" moved

# Writes wait for ever: the ring goes round meanwhile.
next_seq()
{
	ncp-stats -i "$bus" --once --json | sed 's/.*"next_seq":\([0-9]*\).*/\1/'
}
frozen()
{
	local at

	stop producer TERM 5
	ncp-producer --remove "$bus" || : # a made-up source takes its bus along
	begin 100000 16M
	disk_make ext4 256M
	dump --strict
	grown 10000000
	fsfreeze -f "$disk"
	at=$(next_seq)
	wait_for "[ \$(next_seq) -gt $((at + 100000)) ]" 20
	fsfreeze -u "$disk"
	grown "$(($(stat -c %s "$file") + 10000000))"
	stop dump INT 20
	cat "$TAP_DIR/dump.err"
	[ "$status" = 4 ]
	[[ $(frame_check "$file") =~ ^frames=([0-9]+).*holes=0\ duplicates=0\ other=0\ gapped=([0-9]+)$ ]]
	tail -n 1 "$TAP_DIR/dump.err" |
		grep "\"frames\":${BASH_REMATCH[1]},.*\"lost\":${BASH_REMATCH[2]},\"bytes\""
	umount "$disk"
}
on_disk "a disk that hangs until the ring was lapped: the loss is exact, the rest is right" frozen

# summary WRITER DIRECT
summary()
{
	tail -n 1 "$TAP_DIR/dump.err" | grep "\"writer\":\"$1\",\"direct\":$2,"
}
tmpfs()
{
	mount -t tmpfs tmpfs "$disk"
	dump -c 10000
	reap dump 10
	[ "$status" = 0 ]
	summary uring false
	saved=10000
	kept
	umount "$disk"
}
run_step "tmpfs, which has no O_DIRECT" tmpfs
device()
{
	dump -c 1000 -w /dev/null
	reap dump 10
	[ "$status" = 0 ]
	summary pwrite false
	truncate -s 8M "$TAP_DIR/image"
	file=$(losetup -f --show "$TAP_DIR/image")
	dump -c 1000 -w "$file"
	reap dump 10
	[ "$status" = 0 ]
	losetup -d "$file"
	head -c "$(tail -n 1 "$TAP_DIR/dump.err" | sed 's/.*"bytes":\([0-9]*\).*/\1/')" \
		"$TAP_DIR/image" >"$TAP_DIR/copy"
	file=$TAP_DIR/copy
	saved=1000
	kept
}
on_disk "a device as target: /dev/null, and a block device from its first byte on" device
