#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_truth.sh - every number of ncp-stats is true, or within the error that is told with it.
. tests/tap/tap.sh
command -v tshark >/dev/null || skip_all "needs tshark"
python=$(PATH=/usr/bin:/bin command -v python3) || skip_all "no python3 in /usr/bin"
[ -z "${SANITIZE:-}" ] || skip_all "a sanitizer's library cannot be loaded into python"
plan 10

export NCP_DIR=$TAP_DIR/busses TAP_ID TAP_DIR
export PYTHONPATH=$PWD/clients/python:$PWD/tests/clients/ncp-stats PYTHONDONTWRITEBYTECODE=1
export NCPBUS_LIBRARY=$NCP_BUILD/lib/libncpbus.so.0
mkdir "$NCP_DIR"

truth() { "$python" -W ignore::ResourceWarning -m unittest "${2:-truth}.$1"; }
run_step "the mix is what it is meant to be" truth Still.test_tshark
run_step "of a bus that stands still: --once --json" truth Still.test_json
run_step "what is served, traffic and rates included" truth Still.test_api
run_step "metrics" truth Still.test_metrics
run_step "and text" truth Still.test_text
run_step "and every pane of the terminal, at two sizes" truth Screen truth_screen
run_step "clients that are behind, and that lost frames" truth Lapped
run_step "rates: now, mean, peak" truth Moving.test_rates
run_step "a sample of synthetic frames, within its error" truth Moving.test_sample_synth
run_step "a sample of a mix that repeats, within its error" truth Moving.test_sample_mix
