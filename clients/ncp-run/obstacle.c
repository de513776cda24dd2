/* SPDX-License-Identifier: BSD-2-Clause */
/* obstacle.c - what keeps a program from being given a library: known before it is run. */
#include "obstacle.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/file.h"

#define SCRIPTS_MAX 4 /* as the kernel has it */

/* --- the file --------------------------------------------------------------------------------- */

/* Where the loader's name stands in the file; false: nowhere.  Both sizes of ELF, in our order of
 * bytes: a file of the other order is of another machine, and refused as such. */
static bool loader_at(int fd, const unsigned char *head, uint64_t *off, uint64_t *len)
{
	bool wide = head[EI_CLASS] == ELFCLASS64;
	Elf64_Ehdr e64;
	Elf32_Ehdr e32;

	memcpy(&e64, head, sizeof(e64));
	memcpy(&e32, head, sizeof(e32));
	uint64_t at = wide ? e64.e_phoff : e32.e_phoff;
	unsigned int n = wide ? e64.e_phnum : e32.e_phnum;
	for (unsigned int i = 0; i < n; i++) {
		Elf64_Phdr p64 = { 0 };
		Elf32_Phdr p32 = { 0 };
		size_t size = wide ? sizeof(p64) : sizeof(p32);
		void *p = wide ? (void *)&p64 : (void *)&p32;

		if (file_pread_all(fd, p, size, at + (uint64_t)i * size) != (ssize_t)size)
			return false;
		if ((wide ? p64.p_type : p32.p_type) != PT_INTERP)
			continue;
		*off = wide ? p64.p_offset : p32.p_offset;
		*len = wide ? p64.p_filesz : p32.p_filesz;
		return true;
	}
	return false;
}

static int elf_read(int fd, const unsigned char *head, struct obstacle_file *file)
{
	uint64_t off, len;

	file->elf_class = head[EI_CLASS];
	memcpy(&file->machine, head + offsetof(Elf64_Ehdr, e_machine), sizeof(file->machine));
	file->loader[0] = '\0';
	if (!loader_at(fd, head, &off, &len))
		return 0;
	if (len == 0 || len > sizeof(file->loader))
		return -ENOEXEC;
	if (file_pread_all(fd, file->loader, len, off) != (ssize_t)len)
		return -ENOEXEC;
	file->loader[len - 1] = '\0';
	return 0;
}

/* The interpreter of a script whose first bytes these are, a string. */
static int interpreter_of(const char *head, char path[PATH_MAX])
{
	head += 2;
	head += strspn(head, " \t");
	size_t len = strcspn(head, " \t\n");
	if (len == 0 || len >= PATH_MAX)
		return -ENOEXEC;
	memcpy(path, head, len);
	path[len] = '\0';
	return 0;
}

int obstacle_read(const char *path, struct obstacle_file *file)
{
	unsigned char head[257];

	snprintf(file->path, sizeof(file->path), "%s", path);
	for (int i = 0; i <= SCRIPTS_MAX; i++) {
		int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		int r = -ENOEXEC;

		if (fd < 0)
			return -errno;
		memset(head, 0, sizeof(head));
		ssize_t n = file_pread_all(fd, head, sizeof(head) - 1, 0);
		bool script = n > 2 && head[0] == '#' && head[1] == '!';
		if (script)
			r = interpreter_of((const char *)head, file->path);
		else if (n >= (ssize_t)sizeof(Elf32_Ehdr) && !memcmp(head, ELFMAG, SELFMAG))
			r = elf_read(fd, head, file);
		close(fd);
		if (r < 0 || !script)
			return r;
	}
	return -ELOOP;
}

/* --- rights ----------------------------------------------------------------------------------- */

const char *obstacle_rights(const char *path)
{
	struct statvfs fs;
	struct stat st;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || stat(path, &st) < 0 ||
	    (statvfs(path, &fs) == 0 && fs.f_flag & ST_NOSUID))
		return NULL;
	if (st.st_mode & S_ISUID && st.st_uid != getuid())
		return "it is set-user-ID";
	if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getgid())
		return "it is set-group-ID";
	/* Root keeps his environment: he gains nothing by them. */
	if (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
		return "it has file capabilities";
	return NULL;
}

/* --- AppArmor --------------------------------------------------------------------------------- */

static bool file_has(const char *path, const char *word)
{
	size_t len;
	char *text, *line, *rest;
	bool found = false;

	if (file_read(path, 1 << 20, &text, &len) < 0)
		return false;
	for (line = strtok_r(text, "\n", &rest); line && !found;
	     line = strtok_r(NULL, "\n", &rest)) {
		line += strspn(line, " \t");
		found = *line != '#' && strstr(line, word);
	}
	free(text);
	return found;
}

/* Debian names a profile by the program's path, with points: /etc/apparmor.d/usr.bin.tcpdump. */
static bool confined(const char *path, const char *root, char name[PATH_MAX])
{
	char at[3 * PATH_MAX];

	snprintf(at, sizeof(at), "%s/sys/module/apparmor/parameters/enabled", root);
	if (!file_has(at, "Y"))
		return false;
	snprintf(name, PATH_MAX, "%s", path + (*path == '/'));
	for (char *c = name; *c; c++)
		if (*c == '/')
			*c = '.';
	snprintf(at, sizeof(at), "%s/etc/apparmor.d/%s", root, name);
	if (access(at, F_OK) < 0)
		return false;
	snprintf(at, sizeof(at), "%s/etc/apparmor.d/disable/%s", root, name);
	if (access(at, F_OK) == 0)
		return false;
	snprintf(at, sizeof(at), "%s/etc/apparmor.d/force-complain/%s", root, name);
	if (access(at, F_OK) == 0)
		return false;
	snprintf(at, sizeof(at), "%s/etc/apparmor.d/local/%s", root, name);
	return !file_has(at, "libncp-pcap.so");
}

/* --- all of it -------------------------------------------------------------------------------- */

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool becomes_another(const char *name)
{
	static const char *const names[] = { "sudo", "doas", "su", "pkexec", "runuser" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* Wireshark's programs do not capture: dumpcap does, which stands beside them. */
static bool by_dumpcap(const char *path, char dumpcap[PATH_MAX + 8])
{
	const char *name = name_of(path);

	if (strcmp(name, "tshark") != 0 && strcmp(name, "wireshark") != 0)
		return false;
	snprintf(dumpcap, PATH_MAX + 8, "%.*sdumpcap", (int)(name - path), path);
	return true;
}

#define SAY(o, why_, ...) \
	(snprintf((o)->why, sizeof((o)->why), "%s", (why_)), \
	 snprintf((o)->todo, sizeof((o)->todo), __VA_ARGS__))

void obstacle_find(const struct obstacle_file *file, const struct obstacle_file *own,
		   const char *root, const char *snippet, struct obstacle *o)
{
	static const char by_pipe[] = "read the bus by a pipe: ncp-dump -i BUS -w - | %s -r -";
	char dumpcap[PATH_MAX + 8], profile[PATH_MAX];
	const char *name = name_of(file->path), *why;

	*o = (struct obstacle){ 0 };
	if (file->elf_class != own->elf_class || file->machine != own->machine) {
		SAY(o, "it is made for another machine than libncp-pcap.so", by_pipe, name);
	} else if (!*file->loader) {
		SAY(o, "it is statically linked", by_pipe, name);
	} else if (strcmp(file->loader, own->loader) != 0) {
		SAY(o, "it uses another C library than libncp-pcap.so", by_pipe, name);
	} else if ((why = obstacle_rights(file->path)) != NULL) {
		if (becomes_another(name))
			SAY(o, why, "put it in front: %s ncp-run PROGRAM", name);
		else
			SAY(o, why, "run a copy of it, which has no such rights; a bus needs none");
	} else if (by_dumpcap(file->path, dumpcap) && (why = obstacle_rights(dumpcap)) != NULL) {
		snprintf(o->why, sizeof(o->why), "it captures by dumpcap: %s", why);
		snprintf(o->todo, sizeof(o->todo),
			 "without ncp-run the busses are among its interfaces (ncp-extcap)");
	} else if (confined(file->path, root, profile)) {
		snprintf(o->why, sizeof(o->why), "its AppArmor profile keeps it from busses");
		snprintf(o->todo, sizeof(o->todo),
			 "append %s to /etc/apparmor.d/local/%.80s, then apparmor_parser -r "
			 "/etc/apparmor.d/%.80s",
			 snippet, profile, profile);
	}
}
