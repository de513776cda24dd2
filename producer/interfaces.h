/* SPDX-License-Identifier: BSD-2-Clause */
/* interfaces.h - what -D prints: the network interfaces of this machine. */
#ifndef INTERFACES_H
#define INTERFACES_H

#include <stdbool.h>
#include <stdio.h>

/*
 * interfaces_print - one line for each interface: its name, then "up" or "down", then "no carrier"
 * or "loopback" where that is so.
 *
 *   dir   ignored
 *   json  one object a line instead: schema, interface, up, running, loopback
 *
 * In the kernel's order.  Returns 0, -errno.
 */
int interfaces_print(FILE *f, bool json, const char *dir) __attribute__((warn_unused_result));

#endif
