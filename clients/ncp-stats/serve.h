/* SPDX-License-Identifier: BSD-2-Clause */
/* serve.h - a small HTTP server: metrics, a live page, events; it only tells. */
#ifndef SERVE_H
#define SERVE_H

/*
 *	/metrics		for Prometheus
 *	/api/v1/busses		a JSON array: an object for each bus, as with --json
 *	/api/v1/events		the same as server-sent events, one for each look
 *	/, /app.js, /style.css	a page that shows them
 *
 * GET and HEAD only.  A request whose Host is a name other than "localhost" and those allowed is
 * refused, so that no web site can have its visitors' browsers read what is told here (DNS
 * rebinding); an address in its place cannot be another's name.  Requests are small, connections few
 * and of a limited time (guests.h).  Nothing is read from disk.
 */

#include <stdbool.h>
#include <stdint.h>

#define SERVE_ADDRESS "127.0.0.1"
#define SERVE_PORT 10469u

struct serve;

struct serve_options {
	const char *listen; /* ADDR:PORT, [ADDR]:PORT, ADDR or PORT; what is left out is as above */
	const char *hosts;  /* further names by commas, or NULL */
};

/* What there is to tell: texts, the caller's. */
struct serve_news {
	const char *busses;	  /* a JSON array in one line */
	const char *metrics_text; /* Prometheus 0.0.4 */
	const char *metrics_open; /* OpenMetrics 1.0 */
};

/*
 * serve_start - listen, in a thread of its own.
 *
 *   why  128 bytes: what is wrong, on error
 *
 * Returns 0; -EINVAL (listen is no address), -ENOMEM, -errno of bind and listen.
 */
int serve_start(struct serve **s, const struct serve_options *o, char *why)
	__attribute__((warn_unused_result));

/* serve_port - the port, also where 0 was asked for.  serve_is_local - is it a loopback address? */
uint16_t serve_port(const struct serve *s);
bool serve_is_local(const struct serve *s);

/* serve_tell - from now on tell this; copied.  0, -ENOMEM. */
int serve_tell(struct serve *s, const struct serve_news *news) __attribute__((warn_unused_result));

/* serve_tend - end connections that take too long, and find those at whose other end nobody is any
 * more; to be called every second or more often. */
void serve_tend(struct serve *s);

/* serve_stop - end all connections.  NULL is fine. */
void serve_stop(struct serve *s);

/* serve_host_ok - may a request with this Host be answered?  hosts: as in serve_options. */
bool serve_host_ok(const char *host, const char *hosts);

#endif
