#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""All VFs of PFs to vfio-pci through vnetd's own workers: worker-provision.py COUNT PF...

vnetd has no such command; an attach does this for the one VF it gives. So its workers are
asked here what its transactions ask them (daemon/txn.c), knob by knob: get, set, which
reads back, in the same lanes: numvfs of all PFs one after the other in "host", the rest in
a worker a PF, side by side. No journal, no libvirt. Prints as vf-floor does:

	create USEC bind USEC total USEC vfs N
"""
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time


class Worker:
    def __init__(self, runtime):
        ours, theirs = socket.socketpair()

        def as_third():
            os.dup2(theirs.fileno(), 3)
            os.set_inheritable(3, True)

        self.process = subprocess.Popen(
            ["vnetd", "--worker", "--root", "/", "--runtime", runtime],
            preexec_fn=as_third, close_fds=False, stdin=subprocess.DEVNULL)
        theirs.close()
        self.socket, self.rest = ours, b""
        self.call("get", knob="numvfs", object=sys.argv[2])  # it has started

    def call(self, op, **args):
        self.socket.sendall(json.dumps({"id": 1, "op": op, "args": args}).encode() + b"\0")
        while b"\0" not in self.rest:
            more = self.socket.recv(65536)
            if not more:
                raise SystemExit("worker-provision: the worker died")
            self.rest += more
        answer, self.rest = self.rest.split(b"\0", 1)
        answer = json.loads(answer)
        if "error" in answer:
            raise SystemExit("worker-provision: " + answer["error"]["text"])
        return answer["result"].get("value")

    def knob(self, name, obj, value):
        if self.call("get", knob=name, object=obj) != value:
            self.call("set", knob=name, object=obj, value=value)

    def end(self):
        self.socket.close()
        self.process.wait()


def bind_all(worker, pf, count, failures):
    try:
        for i in range(count):
            worker.knob("driver", f"{pf}/vf{i}", "vfio-pci override=vfio-pci")
    except SystemExit as e:
        failures.append(str(e))


def main():
    count, pfs, failures = int(sys.argv[1]), sys.argv[2:], []
    with tempfile.TemporaryDirectory() as runtime:
        host = Worker(runtime)
        lanes = {pf: Worker(runtime) for pf in pfs}
        begun = time.monotonic_ns()
        for pf in pfs:
            lanes[pf].knob("autoprobe", pf, "0")
            host.knob("numvfs", pf, str(count))
        made = time.monotonic_ns()
        threads = [threading.Thread(target=bind_all, args=(lanes[pf], pf, count, failures))
                   for pf in pfs]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        done = time.monotonic_ns()
        for w in [host, *lanes.values()]:
            w.end()
    if failures:
        sys.exit(failures[0])
    print(f"create {(made - begun) // 1000} bind {(done - made) // 1000}"
          f" total {(done - begun) // 1000} vfs {count * len(pfs)}")


if len(sys.argv) < 3:
    sys.exit(__doc__.split("\n")[0])
main()
