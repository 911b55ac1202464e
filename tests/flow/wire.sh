#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The socket as a foreign client finds it: wire.py speaks Varlink by Python's standard
# library alone, well and badly. The daemon stays up, leaks nothing and serves.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

new_host --pf-up 0 --nvme --tap --guests 3
touch "$host/guests/vm3.off"
start
pid=$daemon
/usr/bin/python3 "$top/tests/flow/wire.py" "$socket" "$pid" ||
	fail "wire.py: status $?"
alive || fail "vnetd is dead"
same "the same daemon" "$pid" "$daemon"

note "a client that hangs up in the middle of an attach: the attach goes on"
wait_for 10 is_state vm2/left in-use || fail "vm2/left is $(state_of vm2/left)"
takes_it_back() { vnet detach vm2; }
wait_for 10 takes_it_back || fail "it cannot be detached"
expect 0 'no attachments' list
