# SPDX-License-Identifier: LGPL-2.1-or-later
"""In the place of vnetd: exec-cli.py SOCKET REPLY CALLS

Answers every call with the file REPLY. Where that has fds, one descriptor for each goes with
it, of a file in memory called after its role; files that came with the call are told by what
they are. Each call becomes a line of CALLS.
"""
import array
import json
import os
import socket
import stat
import sys


def kind(fd):
    with os.fdopen(fd):
        return "socket" if stat.S_ISSOCK(os.fstat(fd).st_mode) else "file"


def main():
    path, reply_file, calls = sys.argv[1:]
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    while True:
        conn, _ = listening.accept()
        data, fds = b"", []
        while not data.endswith(b"\0"):
            part, got, _, _ = socket.recv_fds(conn, 65536, 16)
            if not part:
                break
            data, fds = data + part, fds + got
        if not data:
            continue
        call = json.loads(data[:-1])
        call["came"] = [kind(fd) for fd in fds]
        with open(calls, "a", encoding="utf-8") as f:
            print(json.dumps(call), file=f)
        with open(reply_file, encoding="utf-8") as f:
            reply = json.load(f)
        files = [os.memfd_create(x["role"])
                 for x in reply.get("parameters", {}).get("fds", [])]
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        conn.sendmsg([json.dumps(reply).encode() + b"\0"], rights)
        for fd in files:
            os.close(fd)
        conn.close()


main()
