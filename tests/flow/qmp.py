# SPDX-License-Identifier: LGPL-2.1-or-later
"""In a QEMU's place: qmp.py SOCKET HOW CALLS

As much of the monitor as vnetd talks to; descriptors are held as QEMU holds them. Each command
becomes a line of CALLS. HOW is read at each: words of "fail COMMAND", "hangup COMMAND", "die
COMMAND", "unplug never", "unplug refused", "memory shared", "nobody" (at the socket); "old": it
does not know how much memory it may come to have.
"""
import json
import os
import socket
import sys


class Monitor:
    def __init__(self, how, calls):
        self.how, self.calls = how, calls
        self.fds, self.netdevs, self.objects, self.devices = {}, {}, {}, {}
        self.sockets = {}

    def told(self, what):
        with open(self.how, encoding="utf-8") as f:
            return what in [line.strip() for line in f]

    def take(self, args):
        """The descriptors that a command names are its own from then on."""
        names = [n for key in ("fd", "fds", "vhostfd", "vhostfds") for n in args.get(key, "").split(":") if n]
        return [self.fds.pop(n) for n in names]

    def obey(self, name, args, came):
        """The answer's return, the events behind it; KeyError, RuntimeError: an error."""
        key = args.get("id")
        if self.told(f"fail {name}"):
            while came:
                os.close(came.pop())
            raise RuntimeError("no such luck")
        if name == "getfd":
            self.fds[args["fdname"]] = came.pop(0)
        elif name == "closefd":
            os.close(self.fds.pop(args["fdname"]))
        elif name == "netdev_add":
            assert "chardev" not in args or self.sockets[args["chardev"]] and not self.told("nobody")
            self.netdevs[key] = self.take(args)
        elif name == "chardev-add":
            self.sockets[key] = args["backend"]["data"]["addr"]["data"]["path"]
        elif name == "chardev-remove":
            del self.sockets[key]
        elif name == "query-chardev":
            down = "disconnected:" if self.told("nobody") else ""
            return [{"label": k, "filename": f"{down}unix:{v}"} for k, v in self.sockets.items()], []
        elif name == "query-memdev":
            return [{"id": "pc.ram", "share": self.told("memory shared")}], []
        elif name == "object-add":
            self.objects[key] = self.take(args)
        elif name == "device_add":
            assert "netdev" not in args or args["netdev"] in self.netdevs
            self.devices[key] = self.take(args)
        elif name == "qom-get" and self.told("old"):
            raise RuntimeError("Property 'pc-q35-6.2-machine.memory' not found")
        elif name == "qom-get":
            return {"size": 1 << 28, "max-size": 1 << 30, "slots": 2}, []
        elif name == "query-memory-size-summary":
            return {"base-memory": 1 << 28, "plugged-memory": 1 << 27}, []
        elif name == "query-pci":
            return [{"bus": 0, "devices": [{"qdev_id": "rp1", "pci_bridge": {"devices": []}}]}], []
        elif name in ("netdev_del", "object-del"):
            for fd in (self.netdevs if name == "netdev_del" else self.objects).pop(key):
                os.close(fd)
            if name == "netdev_del":
                self.sockets.pop(key, None)
        elif name == "device_del":
            if self.told("unplug refused"):
                return {}, [("DEVICE_UNPLUG_GUEST_ERROR", key)]
            device = self.devices[key]
            if not self.told("unplug never"):
                for fd in device:
                    os.close(fd)
                del self.devices[key]
                return {}, [("DEVICE_DELETED", key)]
        return {}, []

    def serve(self, conn):
        def say(message):
            conn.sendall(json.dumps(message).encode() + b"\r\n")

        say({"QMP": {"version": {}, "capabilities": ["oob"]}})
        data, came = b"", []
        while True:
            part, got, _, _ = socket.recv_fds(conn, 65536, 16)
            if not part:
                return
            data, came = data + part, came + got
            while b"\n" in data:
                line, data = data.split(b"\n", 1)
                call = json.loads(line)
                name = call["execute"]
                if name != "qmp_capabilities":
                    with open(self.calls, "a", encoding="utf-8") as f:
                        print(name, json.dumps(call.get("arguments", {})), file=f)
                if self.told(f"die {name}"):
                    os._exit(0)
                if self.told(f"hangup {name}"):
                    return
                try:
                    result, events = self.obey(name, call.get("arguments", {}), came)
                except KeyError as e:
                    say({"id": call["id"], "error": {"class": "DeviceNotFound", "desc": f"Device '{e}' not found"}})
                    continue
                except RuntimeError as e:
                    say({"id": call["id"], "error": {"class": "GenericError", "desc": str(e)}})
                    continue
                say({"id": call["id"], "return": result})
                for event, device in events:
                    say({"event": event, "data": {"device": device}})


def main():
    path, how, calls = sys.argv[1:]
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    monitor = Monitor(how, calls)
    while True:
        conn, _ = listening.accept()
        with conn:
            try:
                monitor.serve(conn)
            except (BrokenPipeError, ConnectionResetError):
                pass


main()
