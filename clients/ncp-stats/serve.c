/* SPDX-License-Identifier: BSD-2-Clause */
/* serve.c - libmicrohttpd around a few texts that change with each look. */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guests.h"
#include "look.h"
#include "metrics.h"
#include "page.h"
#include "util/parse.h"

#define WHY_CAP 128
#define CONNECTION_MEMORY (16u << 10) /* a request's line and headers */
/* No byte goes out or comes in for so long: a browser that takes no more events. */
#define IDLE_S 30u
/* Whoever is told events and gets none is given something to find out by that nobody is there. */
#define PING_NS UINT64_C(10000000000)
#define PING ":\n\n"
#define CSP                                                                             \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* What all listeners are told; the last one who has been frees it. */
struct event {
	unsigned int users; /* the server among them, while it is the newest */
	size_t len;
	char text[];
};

/* A browser that listens to events. */
struct listener {
	struct serve *serve;
	struct MHD_Connection *connection;
	struct listener *next;
	struct event *event; /* that it was told, or is being */
	size_t off;	     /* so much of it */
	uint64_t told_ns;    /* CLOCK_MONOTONIC: when it last was told something */
	bool asleep;	     /* suspended until there is news */
	bool ping;	     /* or until this is to be said */
};

struct serve {
	struct MHD_Daemon *daemon;
	struct sockaddr_storage at;
	socklen_t at_len;
	char *hosts;
	struct guests guests;

	pthread_mutex_t lock; /* of all below */
	struct event *event;  /* the newest; NULL: nothing is known yet */
	char *busses, *metrics_text, *metrics_open;
	struct listener *listeners;
	bool stopping;
};

/* --- who may ask ------------------------------------------------------------------------------ */

static bool is_address(const char *host)
{
	struct in6_addr a;

	return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

bool serve_host_ok(const char *host, const char *hosts)
{
	char name[256];
	size_t len;

	if (!host)
		return false;
	if (*host == '[') {
		len = strcspn(host, "]");
		host++, len--;
	} else {
		len = strcspn(host, ":");
	}
	if (len == 0 || len >= sizeof(name))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	if (!strcasecmp(name, "localhost") || is_address(name))
		return true;
	while (hosts && *hosts) {
		size_t n = strcspn(hosts, ",");

		if (n == len && !strncasecmp(hosts, name, n))
			return true;
		hosts += n + (hosts[n] == ',');
	}
	return false;
}

/* --- answers ---------------------------------------------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, struct MHD_Response *r,
			      const char *type)
{
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r, "Content-Security-Policy", CSP);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, "10");
	enum MHD_Result result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *why)
{
	return answer(c, status,
		      MHD_create_response_from_buffer(strlen(why), (void *)(uintptr_t)why,
						      MHD_RESPMEM_PERSISTENT),
		      "text/plain; charset=utf-8");
}

/* A text that may change as soon as the lock is given back. */
static enum MHD_Result answer_text(struct serve *s, struct MHD_Connection *c, char *const *text,
				   const char *type)
{
	pthread_mutex_lock(&s->lock);
	const char *now = *text ? *text : "";
	struct MHD_Response *r = MHD_create_response_from_buffer(
		strlen(now), (void *)(uintptr_t)now, MHD_RESPMEM_MUST_COPY);
	pthread_mutex_unlock(&s->lock);
	return answer(c, MHD_HTTP_OK, r, type);
}

/* Under the lock, here and below. */
static void event_drop(struct event *e)
{
	if (e && --e->users == 0)
		free(e);
}

/* Go to the newest event, unless it was told. */
static void event_take(struct listener *l)
{
	struct event *newest = l->serve->event;

	if (l->event == newest)
		return;
	event_drop(l->event);
	l->event = newest;
	newest->users++;
	l->off = 0;
}

static ssize_t event_give(struct listener *l, char *buf, size_t max)
{
	size_t left = l->event->len - l->off, n = left < max ? left : max;

	memcpy(buf, l->event->text + l->off, n);
	l->off += n;
	return (ssize_t)n;
}

static ssize_t event_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct listener *l = arg;
	struct serve *s = l->serve;
	ssize_t n;

	(void)pos;
	pthread_mutex_lock(&s->lock);
	if (!l->event || l->off == l->event->len)
		event_take(l);
	if (s->stopping) {
		n = MHD_CONTENT_READER_END_OF_STREAM;
	} else if (l->event && l->off < l->event->len) {
		n = event_give(l, buf, max);
	} else if (l->ping && max >= strlen(PING)) {
		n = (ssize_t)strlen(PING);
		memcpy(buf, PING, (size_t)n);
	} else {
		n = 0;
		l->asleep = true;
		MHD_suspend_connection(l->connection);
	}
	if (n > 0) {
		l->told_ns = look_now(CLOCK_MONOTONIC);
		l->ping = false;
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

static void event_end(void *arg)
{
	struct listener *l = arg, **at;

	pthread_mutex_lock(&l->serve->lock);
	for (at = &l->serve->listeners; *at && *at != l; at = &(*at)->next)
		;
	if (*at)
		*at = l->next;
	event_drop(l->event);
	pthread_mutex_unlock(&l->serve->lock);
	free(l);
}

static struct guest *guest_of(struct MHD_Connection *c)
{
	return MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static enum MHD_Result answer_events(struct serve *s, struct MHD_Connection *c)
{
	if (!guests_stream(&s->guests, guest_of(c)))
		return refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "too many listen already\n");
	struct listener *l = calloc(1, sizeof(*l));
	if (!l)
		return MHD_NO;
	*l = (struct listener){
		.serve = s, .connection = c, .told_ns = look_now(CLOCK_MONOTONIC)
	};
	struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 64 << 10,
								   event_read, l, event_end);
	if (!r) {
		free(l);
		return MHD_NO;
	}
	pthread_mutex_lock(&s->lock);
	l->next = s->listeners;
	s->listeners = l;
	pthread_mutex_unlock(&s->lock);
	return answer(c, MHD_HTTP_OK, r, "text/event-stream; charset=utf-8");
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	static int begun;
	struct serve *s = arg;

	(void)version;
	(void)upload;
	/* The first call brings the headers only; an answer then would end the connection. */
	if (!*state) {
		*state = &begun;
		return MHD_YES;
	}
	if (*upload_len) {
		*upload_len = 0;
		return MHD_YES;
	}
	if (!serve_host_ok(MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST),
			   s->hosts))
		return refuse(c, MHD_HTTP_FORBIDDEN, "this name is not known here: see --host\n");
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "there is nothing to change here\n");
	if (!strcmp(url, "/metrics")) {
		bool open = metrics_wants_open(
			MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));

		return answer_text(s, c, open ? &s->metrics_open : &s->metrics_text,
				   open ? METRICS_TYPE_OPEN : METRICS_TYPE_TEXT);
	}
	if (!strcmp(url, "/api/v1/busses"))
		return answer_text(s, c, &s->busses, "application/json");
	if (!strcmp(url, "/api/v1/events"))
		return answer_events(s, c);
	const struct page_file *f = page_find(url);
	if (!f)
		return refuse(c, MHD_HTTP_NOT_FOUND, "there is /, /metrics and /api/v1/busses\n");
	return answer(c, MHD_HTTP_OK,
		      MHD_create_response_from_buffer(f->len, (void *)(uintptr_t)f->data,
						      MHD_RESPMEM_PERSISTENT),
		      f->type);
}

static void on_connection(void *arg, struct MHD_Connection *c, void **guest,
			  enum MHD_ConnectionNotificationCode what)
{
	struct serve *s = arg;

	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		*guest = guests_enter(
			&s->guests,
			MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
			look_now(CLOCK_MONOTONIC));
	else
		guests_leave(&s->guests, *guest);
}

static void on_answered(void *arg, struct MHD_Connection *c, void **state,
			enum MHD_RequestTerminationCode how)
{
	struct serve *s = arg;

	(void)state;
	(void)how;
	guests_answered(&s->guests, guest_of(c), look_now(CLOCK_MONOTONIC));
}

/* --- where ------------------------------------------------------------------------------------ */

static int port_parse(const char *text, uint16_t *port)
{
	uint64_t n;

	if (parse_u64(text, 0, UINT16_MAX, &n) < 0)
		return -EINVAL;
	*port = (uint16_t)n;
	return 0;
}

/* ADDR:PORT, [ADDR]:PORT, ADDR, [ADDR], PORT. */
static int address_parse(struct serve *s, const char *text)
{
	char address[64] = SERVE_ADDRESS;
	const char *colon = strrchr(text, ':'), *port = NULL;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&s->at;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&s->at;
	uint16_t n = SERVE_PORT;
	size_t len = strlen(text);

	if (*text == '[') {
		const char *end = strchr(text, ']');

		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		port = end[1] ? end + 2 : NULL;
		text++, len = (size_t)(end - text);
	} else if (colon && strchr(text, ':') == colon) {
		port = colon + 1;
		len = (size_t)(colon - text);
	} else if (!colon && !strchr(text, '.')) {
		port = text;
		len = 0;
	}
	if (len >= sizeof(address) || (port && port_parse(port, &n) < 0))
		return -EINVAL;
	if (len) {
		memcpy(address, text, len);
		address[len] = '\0';
	}
	memset(&s->at, 0, sizeof(s->at));
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(n);
		s->at_len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(n);
		s->at_len = sizeof(*v6);
	} else {
		return -EINVAL;
	}
	return 0;
}

static int socket_open(struct serve *s)
{
	const int on = 1;
	int fd = socket(s->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	s->at_len = s->at.ss_family == AF_INET ? sizeof(struct sockaddr_in)
					       : sizeof(struct sockaddr_in6);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&s->at, s->at_len) < 0 || listen(fd, 16) < 0 ||
	    getsockname(fd, (struct sockaddr *)&s->at, &s->at_len) < 0) {
		int e = errno;

		close(fd);
		return -e;
	}
	return fd;
}

uint16_t serve_port(const struct serve *s)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&s->at;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&s->at;

	return ntohs(s->at.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
}

bool serve_is_local(const struct serve *s)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&s->at;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&s->at;

	return s->at.ss_family == AF_INET ? ntohl(v4->sin_addr.s_addr) >> 24 == 127
					  : IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* --- life ------------------------------------------------------------------------------------- */

static void quiet(void *arg, const char *format, va_list args)
{
	(void)arg;
	(void)format;
	(void)args;
}

static void serve_free(struct serve *s)
{
	event_drop(s->event);
	free(s->busses);
	free(s->metrics_text);
	free(s->metrics_open);
	free(s->hosts);
	guests_close(&s->guests);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int serve_start(struct serve **out, const struct serve_options *o, char *why)
{
	struct serve *s = calloc(1, sizeof(*s));
	int r, fd;

	*why = '\0';
	*out = NULL;
	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	guests_open(&s->guests);
	r = address_parse(s, o->listen);
	if (r < 0) {
		snprintf(why, WHY_CAP, "not an address and a port");
		goto fail;
	}
	r = -ENOMEM;
	if (o->hosts && !(s->hosts = strdup(o->hosts)))
		goto fail;
	fd = r = socket_open(s);
	if (fd < 0) {
		snprintf(why, WHY_CAP, "%s", strerror(-fd));
		goto fail;
	}
	s->daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_USE_ERROR_LOG |
			MHD_ALLOW_SUSPEND_RESUME | (s->at.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0),
		0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
		MHD_OPTION_NOTIFY_COMPLETED, on_answered, s, MHD_OPTION_CONNECTION_LIMIT,
		GUESTS_CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_END);
	if (!s->daemon) {
		snprintf(why, WHY_CAP, "the server does not start");
		close(fd);
		r = -EIO;
		goto fail;
	}
	*out = s;
	return 0;
fail:
	serve_free(s);
	return r;
}

/* Under the lock: a listener looks for something to tell. */
static void listener_wake(struct listener *l)
{
	if (l->asleep)
		MHD_resume_connection(l->connection);
	l->asleep = false;
}

static void listeners_wake(struct serve *s)
{
	for (struct listener *l = s->listeners; l; l = l->next)
		listener_wake(l);
}

static struct event *event_make(const char *busses)
{
	static const char before[] = "data: ", after[] = "\n\n";
	size_t len = strlen(busses) + strlen(before) + strlen(after);
	struct event *e = malloc(sizeof(*e) + len + 1);

	if (!e)
		return NULL;
	*e = (struct event){ .users = 1, .len = len };
	snprintf(e->text, len + 1, "%s%s%s", before, busses, after);
	return e;
}

int serve_tell(struct serve *s, const struct serve_news *news)
{
	char *busses = strdup(news->busses), *text = strdup(news->metrics_text),
	     *open = strdup(news->metrics_open);
	struct event *event = event_make(news->busses);

	if (!busses || !text || !open || !event) {
		free(busses);
		free(text);
		free(open);
		free(event);
		return -ENOMEM;
	}
	pthread_mutex_lock(&s->lock);
	free(s->busses);
	free(s->metrics_text);
	free(s->metrics_open);
	event_drop(s->event);
	s->busses = busses;
	s->metrics_text = text;
	s->metrics_open = open;
	s->event = event;
	listeners_wake(s);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

void serve_tend(struct serve *s)
{
	uint64_t now = look_now(CLOCK_MONOTONIC);

	guests_tend(&s->guests, now);
	pthread_mutex_lock(&s->lock);
	for (struct listener *l = s->listeners; l; l = l->next)
		if (l->asleep && now >= l->told_ns + PING_NS) {
			l->ping = true;
			listener_wake(l);
		}
	pthread_mutex_unlock(&s->lock);
}

void serve_stop(struct serve *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	listeners_wake(s);
	pthread_mutex_unlock(&s->lock);
	MHD_stop_daemon(s->daemon);
	serve_free(s);
}
