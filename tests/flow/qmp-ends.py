#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QEMU as far as its monitor goes: qmp-ends.py SOCKET FOLDER.

Its child speaks, so that the process that vnetd takes for QEMU can end while the connection
stays. FOLDER/hang names a command that is not answered until the file is gone. What was said
is in FOLDER/said; FOLDER/pid is QEMU's."""
import json
import os
import socket
import sys
import time

path, folder = sys.argv[1:]
answers = {"query-pci": [], "qom-list": []}


def hangs(command):
    try:
        with open(folder + "/hang", encoding="ascii") as f:
            return command in f.read().split()
    except FileNotFoundError:
        return False


def speak(conn):
    fds = {}
    stream = conn.makefile("w")

    def say(what):
        stream.write(json.dumps(what) + "\r\n")
        stream.flush()

    say({"QMP": {"version": {}, "capabilities": []}})
    text = b""
    while True:
        data, came, _, _ = socket.recv_fds(conn, 65536, 8)
        if not data:
            return
        text += data
        while b"\n" in text:
            line, text = text.split(b"\n", 1)
            msg = json.loads(line)
            command, args = msg["execute"], msg.get("arguments", {})
            with open(folder + "/said", "a", encoding="ascii") as f:
                f.write(command + "\n")
            while hangs(command):
                time.sleep(0.02)
            if command == "getfd":
                fds[args["fdname"]] = came.pop(0)
            elif command == "closefd" and args["fdname"] in fds:
                os.close(fds.pop(args["fdname"]))
            elif command == "netdev_del":
                for fd in fds.values():
                    os.close(fd)
                fds.clear()
            say({"return": answers.get(command, {}), "id": msg.get("id")})
            if command == "device_del" and not hangs("unplug"):
                say({"event": "DEVICE_DELETED", "data": {"device": args["id"]}})


server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
with open(folder + "/pid", "w", encoding="ascii") as out:
    out.write(str(os.getpid()))
while True:
    one, _ = server.accept()
    if os.fork() == 0:
        server.close()
        try:
            speak(one)
        except OSError:
            pass
        os._exit(0)
    one.close()
