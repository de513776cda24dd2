#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_model.sh - the quick part of `make check-model`: the models hold, and see what is weakened.
exec tests/model/run quick
