#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Captured hosts: inventory as JSON and text, held against the schema and what is expected.
exec "$(dirname "${BASH_SOURCE[0]}")/../hosts/check.sh"
