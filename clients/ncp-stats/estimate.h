/* SPDX-License-Identifier: BSD-2-Clause */
/* estimate.h - a sum over all frames of a stream, from some of them, and how far off it may be. */
#ifndef ESTIMATE_H
#define ESTIMATE_H

/*
 * Stratified cluster sampling.  The stream is cut into strata, one after the other; of a stratum
 * either every frame is looked at, or runs of neighbouring ones, which need not be alike within a run
 * but are taken to be so from run to run.  With x_j of a quantity and n_j frames in run j of k, and a
 * stratum of N frames, of which n were looked at, the ratio estimate of its sum and its variance are
 *
 *	N * (sum of x_j) / n
 *	(N / n)^2 * (1 - n / N) * k / (k - 1) * (sum of (x_j - p * n_j)^2),  p = (sum of x_j) / n
 *
 * Those of several strata add up.  Where every frame was looked at the sum is exact, the variance 0.
 * Source: W. G. Cochran: Sampling Techniques, 3rd edition, 1977, 9A.
 */

#include <stdint.h>

/* What all quantities of a stratum share: its frames. */
struct estimate_stratum {
	uint64_t all;	      /* N */
	uint64_t looked;      /* n, of runs that ended */
	uint64_t runs;	      /* k */
	double looked_square; /* sum of n_j^2 */
};

/* One quantity; all zero at the start. */
struct estimate {
	double sum, variance; /* of the strata that ended */
	double run;	      /* x of the run that is being looked at */
	double x, xx, xn;     /* of this stratum: sums of x_j, x_j^2, x_j * n_j */
};

/* Frames of a kind, and their bytes. */
struct volume {
	struct estimate frames, bytes;
};

/* volume_add - a frame of the present run is of that kind. */
void volume_add(struct volume *v, double bytes);

/* volume_run_end - a run of n frames, of any kind, is over. */
void volume_run_end(struct volume *v, double n);

/* volume_stratum_end - no more runs of it.  Some frame was looked at, and with runs < 2 all were. */
void volume_stratum_end(struct volume *v, const struct estimate_stratum *s);

/* estimate_error - the standard error of the sum; 0: it is exact. */
double estimate_error(const struct estimate *e);

#endif
