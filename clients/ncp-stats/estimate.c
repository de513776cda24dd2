/* SPDX-License-Identifier: BSD-2-Clause */
/* estimate.c - a ratio estimate for each stratum, added up. */
#include "estimate.h"

#include <math.h>

static void run_end(struct estimate *e, double n)
{
	e->x += e->run;
	e->xx += e->run * e->run;
	e->xn += e->run * n;
	e->run = 0;
}

static void stratum_end(struct estimate *e, const struct estimate_stratum *s)
{
	if (s->looked == s->all) {
		e->sum += e->x;
	} else {
		double n = (double)s->looked, all = (double)s->all, k = (double)s->runs;
		double p = e->x / n;
		double spread = e->xx - 2 * p * e->xn + p * p * s->looked_square;

		e->sum += all * p;
		/* Rounding may leave a little less than nothing. */
		if (spread > 0)
			e->variance +=
				all / n * (all - n) / n * k / (k - 1) * spread;
	}
	e->x = e->xx = e->xn = 0;
}

void volume_add(struct volume *v, double bytes)
{
	v->frames.run++;
	v->bytes.run += bytes;
}

void volume_run_end(struct volume *v, double n)
{
	run_end(&v->frames, n);
	run_end(&v->bytes, n);
}

void volume_stratum_end(struct volume *v, const struct estimate_stratum *s)
{
	stratum_end(&v->frames, s);
	stratum_end(&v->bytes, s);
}

double estimate_error(const struct estimate *e)
{
	return sqrt(e->variance);
}
