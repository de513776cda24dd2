/* SPDX-License-Identifier: BSD-2-Clause */
/* list.c - the busses of this host, by their names. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/segment.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct ncp_bus_name *)a)->name, ((const struct ncp_bus_name *)b)->name);
}

int ncp_list(const char *dir, struct ncp_bus_name *names, int n)
{
	struct ncp_bus_name *all = NULL;
	const struct dirent *e;
	int found = 0, cap = 0;
	int fd = ncpi_dir_open(dir);

	if (fd < 0)
		return fd;
	DIR *d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, "ncp.", 4) || ncpi_name_check(e->d_name + 4) < 0)
			continue;
		if (found == cap) {
			cap = cap ? 2 * cap : 16;
			void *more = realloc(all, (size_t)cap * sizeof(*all));

			if (!more) {
				free(all);
				closedir(d);
				return -ENOMEM;
			}
			all = more;
		}
		memset(&all[found], 0, sizeof(all[found]));
		strcpy(all[found++].name, e->d_name + 4); /* a bus name has 63 bytes at most */
	}
	closedir(d);
	if (found)
		qsort(all, (size_t)found, sizeof(*all), by_name);
	if (n > 0 && found)
		memcpy(names, all, (size_t)(found < n ? found : n) * sizeof(*all));
	free(all);
	return found;
}
