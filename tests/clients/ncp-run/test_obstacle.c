/* SPDX-License-Identifier: BSD-2-Clause */
/* test_obstacle.c - which programs cannot be given a library, and what is said of each. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "clients/ncp-run/obstacle.h"
#include "tap/tap.h"

static const char *dir;
static struct obstacle_file own;

static const char *at(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* A file of these bytes. */
static const char *file_make(const char *name, const void *data, size_t len)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len || close(fd))
		bail("%s: %s", at(name), strerror(errno));
	return at(name);
}

static const char *text_make(const char *name, const char *text)
{
	return file_make(name, text, strlen(text));
}

static int read_it(const char *path, struct obstacle_file *file)
{
	memset(file, 0xff, sizeof(*file));
	return obstacle_read(path, file);
}

static void test_read(void)
{
	struct obstacle_file file;
	/* The head of a program with one segment. */
	struct {
		Elf64_Ehdr head;
		Elf64_Phdr segment;
		char loader[16];
	} made = { .head = { .e_ident = ELFMAG, .e_machine = EM_AARCH64, .e_phnum = 1,
			     .e_phoff = sizeof(Elf64_Ehdr) },
		   .segment = { .p_type = PT_INTERP, .p_filesz = 11,
				.p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) },
		   .loader = "/lib/ld.so" };

	made.head.e_ident[EI_CLASS] = ELFCLASS64;
	is_i64(-ENOENT, read_it(at("none"), &file), "a file that is not there");
	is_i64(-ENOEXEC, read_it(text_make("text", "hello"), &file), "a text");
	is_i64(-ENOEXEC, read_it(text_make("empty", ""), &file), "an empty file");
	is_i64(-ENOEXEC, read_it(text_make("script", "#!  \n"), &file), "a script of nobody");
	is_i64(-ENOENT, read_it(text_make("script", "#! /nonexistent -x\n"), &file),
	       "a script whose interpreter is not there");
	char self[300];
	snprintf(self, sizeof(self), "#!%s\n", at("script"));
	is_i64(-ELOOP, read_it(text_make("script", self), &file), "a script of itself");

	is_i64(0, read_it(file_make("made", &made, sizeof(made)), &file), "a program");
	is_str("/lib/ld.so", file.loader, "asks for a loader");
	is_u64(EM_AARCH64, file.machine, "and is for a machine");
	is_str(at("made"), file.path, "and is where it is");
	snprintf(self, sizeof(self), "#! %s -x\n", at("made"));
	is_i64(0, read_it(text_make("script", self), &file), "a script");
	is_str(at("made"), file.path, "is run by its interpreter");
	made.segment.p_type = PT_LOAD;
	is_i64(0, read_it(file_make("made", &made, sizeof(made)), &file), "a static program");
	is_str("", file.loader, "asks for none");
	made.segment.p_type = PT_INTERP;
	made.segment.p_filesz = 4096;
	is_i64(-ENOEXEC, read_it(file_make("made", &made, sizeof(made)), &file),
	       "a loader's name of a page is none");
	made.segment.p_filesz = 11;
	is_i64(-ENOEXEC, read_it(file_make("made", &made, sizeof(made) - 10), &file),
	       "nor one beyond the file's end");
	is_i64(0, read_it(file_make("made", &made, sizeof(made.head) + 8), &file),
	       "segments beyond its end are none");
	is_str("", file.loader, "so it asks for no loader");
}

static void finds(const char *why, const char *todo, const struct obstacle_file *file)
{
	struct obstacle o;

	obstacle_find(file, &own, dir, "/share/snippet", &o);
	is_str(why, o.why, "%s: %s", strrchr(file->path, '/') + 1, *why ? why : "nothing in the way");
	ok(strstr(o.todo, todo) != NULL, "to do: %s", o.todo);
}

static void test_find(void)
{
	struct obstacle_file file = own;

	finds("", "", &file);
	snprintf(file.path, sizeof(file.path), "/usr/bin/flow");
	file.loader[0] = '\0';
	finds("it is statically linked", "ncp-dump -i BUS -w - | flow -r -", &file);
	snprintf(file.loader, sizeof(file.loader), "/lib/ld-musl.so.1");
	finds("it uses another C library than libncp-pcap.so", "| flow -r -", &file);
	file.machine++;
	finds("it is made for another machine than libncp-pcap.so", "| flow -r -", &file);
}

static void test_apparmor(void)
{
	struct obstacle_file file = own;
	const char *blocked = "its AppArmor profile keeps it from busses";

	mkdir(at("sys"), 0755);
	mkdir(at("sys/module"), 0755);
	mkdir(at("sys/module/apparmor"), 0755);
	mkdir(at("sys/module/apparmor/parameters"), 0755);
	mkdir(at("etc"), 0755);
	mkdir(at("etc/apparmor.d"), 0755);
	mkdir(at("etc/apparmor.d/local"), 0755);
	mkdir(at("etc/apparmor.d/disable"), 0755);
	mkdir(at("etc/apparmor.d/force-complain"), 0755);
	snprintf(file.path, sizeof(file.path), "/usr/bin/tcpdump");
	text_make("etc/apparmor.d/usr.bin.tcpdump", "profile tcpdump /usr/bin/tcpdump {}\n");
	finds("", "", &file);
	text_make("sys/module/apparmor/parameters/enabled", "N\n");
	finds("", "", &file);
	text_make("sys/module/apparmor/parameters/enabled", "Y\n");
	finds(blocked, "append /share/snippet to /etc/apparmor.d/local/usr.bin.tcpdump, then "
	      "apparmor_parser -r /etc/apparmor.d/usr.bin.tcpdump", &file);
	text_make("etc/apparmor.d/local/usr.bin.tcpdump", "# libncp-pcap.so\n/tmp/** r,\n");
	finds(blocked, "append", &file);
	text_make("etc/apparmor.d/local/usr.bin.tcpdump", "/x/libncp-pcap.so mr,\n");
	finds("", "", &file);
	unlink(at("etc/apparmor.d/local/usr.bin.tcpdump"));
	text_make("etc/apparmor.d/disable/usr.bin.tcpdump", "");
	finds("", "", &file);
	unlink(at("etc/apparmor.d/disable/usr.bin.tcpdump"));
	text_make("etc/apparmor.d/force-complain/usr.bin.tcpdump", "");
	finds("", "", &file);
	snprintf(file.path, sizeof(file.path), "/usr/bin/ngrep");
	finds("", "", &file);
}

/* What another user would be told, by a child that is one; 0 for the same, else it differs. */
static int other_is_told(const char *why, const char *path)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgid(65533) || setuid(65533))
			_exit(2);
		const char *told = obstacle_rights(path);
		_exit(strcmp(why, told ? told : "") != 0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void test_rights(void)
{
	/* VFS_CAP_REVISION_2 with VFS_CAP_FLAGS_EFFECTIVE, CAP_NET_RAW permitted. */
	static const unsigned char caps[20] = { 1, 0, 0, 2, 0, 0x20 };
	struct obstacle_file file = own;

	if (getuid() != 0) {
		skip(16, "needs root: files of other users");
		return;
	}
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
		skip(16, "nobody's rights are changed where no_new_privs is set");
		return;
	}
	chmod(dir, 0755);
	snprintf(file.path, sizeof(file.path), "%s", text_make("tool", "x"));
	is_i64(0, other_is_told("", file.path), "a plain file changes nobody's rights");
	if (chmod(file.path, 04755))
		bail("chmod");
	finds("", "", &file);
	is_i64(0, other_is_told("it is set-user-ID", file.path), "root's set-user-ID file changes "
	       "others' alone");
	if (chown(file.path, 65534, 65534) || chmod(file.path, 04755))
		bail("chown");
	finds("it is set-user-ID", "run a copy of it", &file);
	chmod(file.path, 02755);
	finds("it is set-group-ID", "run a copy of it", &file);
	chmod(file.path, 02744);
	finds("", "", &file);
	if (setxattr(file.path, "security.capability", caps, sizeof(caps), 0)) {
		skip(2, "this file system has no file capabilities");
	} else {
		is_i64(0, other_is_told("it has file capabilities", file.path),
		       "capabilities of a file matter");
		ok(!obstacle_rights(file.path), "but not to root");
	}
	snprintf(file.path, sizeof(file.path), "%s", text_make("sudo", "x"));
	if (chown(file.path, 65534, 65534) || chmod(file.path, 04755))
		bail("chown");
	finds("it is set-user-ID", "put it in front: sudo ncp-run PROGRAM", &file);
	snprintf(file.path, sizeof(file.path), "%s", text_make("dumpcap", "x"));
	if (chown(file.path, 65534, 65534) || chmod(file.path, 04755))
		bail("chown");
	snprintf(file.path, sizeof(file.path), "%s", text_make("tshark", "x"));
	finds("it captures by dumpcap: it is set-user-ID", "ncp-extcap", &file);
}

int main(void)
{
	plan(18 + 8 + 16 + 16);
	/* Root makes set-user-ID files, which may not be obeyed in /tmp. */
	dir = tap_tempdir(getuid() == 0 ? "." : NULL);
	if (obstacle_read("/proc/self/exe", &own) < 0)
		bail("cannot look into this program");
	test_read();
	test_find();
	test_apparmor();
	test_rights();
	return tap_done();
}
