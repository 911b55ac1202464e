#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Varlink client that owes vnetd nothing: wire.py SOCKET PID.

It speaks as a client should, and holds every reply against the interface that the
daemon itself describes; then it speaks as none should.
"""
import array
import json
import os
import re
import resource
import socket
import sys
import time

MESSAGE_MAX = 256 * 1024
PATH, PID = sys.argv[1], int(sys.argv[2])
MAC = "52:54:00:aa:00:77"


def ok(text):
    print("ok:", text)


def check(cond, text):
    if not cond:
        print("FAIL:", text)
        sys.exit(1)


# ---- the client ----
class Client:
    def __init__(self):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.settimeout(30)
        self.connect()
        self.buf = b""

    def connect(self):
        end = time.monotonic() + 30
        while True:
            try:
                return self.s.connect(PATH)
            except BlockingIOError: # so many wait to be let in
                check(time.monotonic() < end, "nobody is let in any more")
                time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def raw(self, data):
        self.s.sendall(data)

    def send(self, method, parameters=None, **more):
        msg = {"method": method, **more}
        if parameters is not None:
            msg["parameters"] = parameters
        self.raw(json.dumps(msg).encode() + b"\0")

    def read(self):
        """The next message; None when the other side hung up."""
        while b"\0" not in self.buf:
            try:
                data = self.s.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                check(not self.buf, f"half a message: {self.buf[:100]}")
                return None
            self.buf += data
        msg, self.buf = self.buf.split(b"\0", 1)
        return json.loads(msg)

    def call(self, method, parameters=None, **more):
        self.send(method, parameters, **more)
        return self.read()


def call(method, parameters=None, **more):
    with Client() as c:
        return c.call(method, parameters, **more)


def serves():
    """Somebody else is served, and soon."""
    began = time.monotonic()
    reply = call("io.vnetd.List")
    check("attachments" in reply["parameters"], f"List: {reply}")
    check(time.monotonic() - began < 15, "others have to wait")


def error_of(reply, name):
    check(reply is not None and reply.get("error") == name, f"wanted {name}, got {reply}")
    return reply["parameters"]


# ---- the interface, as it describes itself ----
class Interface:
    """As much of Varlink's grammar as it takes to judge a value."""

    def __init__(self, text):
        self.text = text
        self.tokens = re.findall(r"\[\]|\[string\]|->|\?|[A-Za-z][A-Za-z0-9_.-]*|[():,]",
                                 re.sub(r"#.*", "", text))
        self.types, self.methods, self.errors = {}, {}, {}
        check(self.next() == "interface", "the description begins with its interface")
        self.name = self.next()
        while self.tokens:
            kind, name = self.next(), self.next()
            if kind == "type":
                self.types[name] = self.struct()
            elif kind == "error":
                self.errors[f"{self.name}.{name}"] = self.struct()
            elif kind == "method":
                given = self.struct()
                check(self.next() == "->", f"method {name} has a reply")
                self.methods[f"{self.name}.{name}"] = (given, self.struct())
            else:
                check(False, f"'{kind}' in the description of {self.name}")

    def next(self):
        return self.tokens.pop(0)

    def struct(self):
        fields = {}
        check(self.next() == "(", "a struct begins")
        while self.tokens[0] != ")":
            if self.tokens[0] == ",":
                self.next()
                continue
            name = self.next()
            check(self.next() == ":", f"field {name} has a type")
            fields[name] = self.type()
        self.next()
        return fields

    def type(self):
        prefix = ""
        while self.tokens[0] in ("?", "[]", "[string]"):
            prefix += self.next()
        return (prefix, self.struct() if self.tokens[0] == "(" else self.next())

    def judge(self, value, wanted, where):
        prefix, name = wanted
        if prefix.startswith("?"):
            return value is None or self.judge(value, (prefix[1:], name), where)
        if prefix.startswith("[]"):
            check(isinstance(value, list), f"{where} is no array: {value}")
            return all(self.judge(v, (prefix[2:], name), f"{where}[]") for v in value)
        if prefix.startswith("[string]"):
            check(isinstance(value, dict), f"{where} is no map: {value}")
            return all(self.judge(v, (prefix[8:], name), f"{where}.{k}") for k, v in value.items())
        if isinstance(name, dict):
            return self.judge_struct(value, name, where)
        if name in self.types:
            return self.judge_struct(value, self.types[name], where)
        kind = {"string": str, "int": int, "bool": bool, "object": dict, "float": float}[name]
        good = isinstance(value, kind) and (kind is not int or not isinstance(value, bool))
        check(good, f"{where} is no {name}: {value!r}")
        return True

    def judge_struct(self, value, fields, where):
        check(isinstance(value, dict), f"{where} is no object: {value!r}")
        for name, wanted in fields.items():
            self.judge(value.get(name), wanted, f"{where}.{name}")
        for name in value:
            check(name in fields, f"{where} has a field {name} that is not described")
        return True

    def judge_reply(self, method, reply):
        if "error" in reply:
            check(reply["error"] in self.errors, f"{method}: {reply['error']} is not described")
            self.judge_struct(reply["parameters"], self.errors[reply["error"]], reply["error"])
        else:
            self.judge_struct(reply["parameters"], self.methods[method][1], method)
        check(set(reply) <= {"error", "parameters", "continues"}, f"{method}: {reply.keys()}")


def well_behaved():
    info = call("org.varlink.service.GetInfo")["parameters"]
    check(info["interfaces"] == ["org.varlink.service", "io.vnetd"], f"interfaces: {info}")
    check(all(isinstance(info[k], str) for k in ("vendor", "product", "version", "url")), f"{info}")
    ok(f"GetInfo: {info['product']} {info['version']}")

    interfaces = {}
    for name in info["interfaces"]:
        text = call("org.varlink.service.GetInterfaceDescription",
                    {"interface": name})["parameters"]["description"]
        interfaces[name] = Interface(text)
        check(interfaces[name].name == name, f"{name} describes {interfaces[name].name}")
    ours = interfaces["io.vnetd"]
    ok(f"io.vnetd has {len(ours.methods)} methods, {len(ours.errors)} errors")
    interfaces["org.varlink.service"].judge_reply(
        "org.varlink.service.GetInfo", call("org.varlink.service.GetInfo"))

    asked = {"guest": "vm1", "name": "x", "mac": MAC, "vlan": {"id": 5, "qos": 1}}
    for method, parameters in (
            ("List", None), ("Inventory", {}), ("ListModes", None), ("Why", asked),
            ("Plan", asked), ("Attach", asked), ("Attach", asked), ("List", {}),
            ("Show", {"guest": "vm1", "name": "x"}), ("Why", {"guest": "vm2"}),
            ("Plan", {"guest": "vm2", "modes": ["vf"], "pool": "enp1s0", "vlan": None}),
            ("Inventory", None), ("Attach", {**asked, "guest": "vm2"}),
            ("Attach", {"guest": "nosuch"}), ("Attach", {"guest": "vm3", "scope": "live"}),
            ("Attach", {"guest": "vm3", "name": "off"}), ("Show", {"guest": "vm3", "name": "off"}),
            ("Detach", {"guest": "vm3", "scope": "config"}), ("Attach", {"scope": "no"}), ("Attach", {}),
            ("Attach", {"guest": "vm1", "modes": ["vf"], "pool": "none"}),
            ("Show", {"guest": "vm1", "name": "y"}), ("Show", {"guest": "vm1"}),
            ("Detach", {"guest": "vm2"}), ("Detach", {"guest": "vm1"}), ("Detach", {"guest": "vm1"})):
        ours.judge_reply(f"io.vnetd.{method}", call(f"io.vnetd.{method}", parameters))
    ok("every reply is what the interface says")
    with Client() as c:
        c.send("io.vnetd.Plan", asked)
        steps = c.read()["parameters"]["steps"]
    check([s["knob"] for s in steps if s["changes"]] == ["driver", "vf-vlan", "vf-mac"], f"{steps}")


def service_errors():
    check(error_of(call("org.varlink.service.GetInterfaceDescription", {"interface": "a.b"}),
                   "org.varlink.service.InterfaceNotFound") == {"interface": "a.b"}, "which one")
    check(error_of(call("io.vnetd.Frobnicate"), "org.varlink.service.MethodNotFound")
          == {"method": "io.vnetd.Frobnicate"}, "which one")
    error_of(call("org.varlink.service.Frobnicate"), "org.varlink.service.MethodNotFound")
    check(error_of(call("com.example.Do"), "org.varlink.service.InterfaceNotFound")
          == {"interface": "com.example"}, "which one")
    for method in ("", ".", "io", "io.vnetd", "io.vnetd.", "x" * 10000, "io.vnetd.List\n", "ä.ö"):
        reply = call(method)
        check(reply["error"].startswith("org.varlink.service."), f"{method[:20]}: {reply}")
    for parameters, which in (({"x": 1}, "x"), ({"guest": "vm1", "Guest": 1}, "Guest")):
        check(error_of(call("io.vnetd.Attach", parameters), "org.varlink.service.InvalidParameter")
              == {"parameter": which}, which)
    for msg, which in (({"method": 5}, "method"), ({"parameters": {}}, "method"),
                       ({"method": "io.vnetd.List", "parameters": []}, "parameters"),
                       ({"method": "io.vnetd.List", "parameters": "x"}, "parameters"),
                       ({"method": "io.vnetd.List", "more": 1}, "more"),
                       ({"method": "io.vnetd.List", "oneway": "yes"}, "oneway"),
                       ({"method": "io.vnetd.List", "oneway": False, "upgrade": True}, "upgrade"),
                       ({"method": "io.vnetd.List", "error": "x"}, "error"), ({}, "method")):
        with Client() as c:
            c.raw(json.dumps(msg).encode() + b"\0")
            check(error_of(c.read(), "org.varlink.service.InvalidParameter")
                  == {"parameter": which}, f"{msg}")
            check("parameters" in c.call("io.vnetd.List"), "the connection goes on")
    for parameters in ({"guest": 5}, {"guest": None}, {"guest": ["vm1"]}, {"guest": "vm1", "vlan": 5},
                       {"guest": "vm1", "vlan": {"id": "5"}}, {"guest": "vm1", "vlan": {"id": 4095}},
                       {"guest": "vm1", "vlan": {"id": 5, "x": 1}}, {"guest": "vm1", "mac": 5},
                       {"guest": "vm1", "modes": "vf"}, {"guest": "vm1", "modes": [1]},
                       {"guest": "vm1", "vlan": {"id": 5, "proto": "x"}},
                       {"guest": "vm1", "vlan": {"id": 1e300}}, {"guest": "vm1", "name": ""},
                       {"guest": "vm1", "modes": ["vf"] * 1000}, {"guest": "x" * 100000},
                       {"guest": "vm1\0"}, {"guest": "../vm1"}):
        for method in ("Attach", "Plan"):
            reply = call(f"io.vnetd.{method}", parameters)
            check(reply.get("error") in ("io.vnetd.Invalid", "org.varlink.service.InvalidParameter"),
                  f"{method} {parameters}: {reply}"[:500])
    ok("errors of org.varlink.service, and bad parameters")


def shapes():
    """Framing: ahead of time, in pieces, one way, with the end closed."""
    with Client() as c:
        for i in range(100):
            c.send(*(("io.vnetd.List",) if i % 2 else
                     ("org.varlink.service.GetInterfaceDescription", {"interface": f"n{i}"})))
        for i in range(100):
            reply = c.read()
            if i % 2:
                check("attachments" in reply["parameters"], f"reply {i}: {reply}")
            else:
                check(reply["parameters"] == {"interface": f"n{i}"}, f"reply {i}: {reply}")
    ok("a hundred calls ahead, answered in order")

    with Client() as c:
        data = json.dumps({"method": "io.vnetd.List", "parameters": {}}).encode() + b"\0"
        for byte in data + data[:7]:
            c.raw(bytes([byte]))
        check("parameters" in c.read(), "byte by byte")
        serves()
        c.raw(data[7:])
        check("parameters" in c.read(), "in two halves")
    ok("in pieces")

    with Client() as c:
        c.send("io.vnetd.List", oneway=True)
        c.send("io.vnetd.Frobnicate", oneway=True)
        c.send("org.varlink.service.GetInfo")
        check("vendor" in c.read()["parameters"], "one way is not answered")
        check("attachments" in c.call("io.vnetd.List", more=True)["parameters"], "more")
        c.send("io.vnetd.List", more=True, oneway=True)
        check("vendor" in c.call("org.varlink.service.GetInfo")["parameters"], "both is neither")
    ok("oneway, more")

    with Client() as c:
        for _ in range(3):
            c.send("io.vnetd.Why", {"guest": "vm1"})
        c.s.shutdown(socket.SHUT_WR)
        for _ in range(3):
            check("verdicts" in c.read()["parameters"], "after the end was closed")
        check(c.read() is None, "then it hangs up")
    ok("all replies come also when the other direction is closed")


def fds_of_daemon():
    return len(os.listdir(f"/proc/{PID}/fd"))


def garbage():
    for what, data in (("no JSON", b"hello\0"), ("nothing", b"\0"), ("an array", b"[]\0"),
                       ("a number", b"5\0"), ("two objects", b"{}{}\0"), ("half", b'{"method":\0'),
                       ("no UTF-8", b'{"method":"\xff\xfe"}\0'), ("a NUL", b'{"method":"a\\u0000b"}\0'),
                       ("twice", b'{"method":"a","method":"io.vnetd.List"}\0'),
                       ("a surrogate", b'{"method":"\\ud800"}\0'),
                       ("deep", b'{"method":"a","parameters":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}\0"),
                       ("a huge number", b'{"method":' + b"9" * 400 + b"}\0"),
                       ("spaces", b" " * 1000 + b"\0"), ("HTTP", b"GET / HTTP/1.0\r\n\r\n\0")):
        with Client() as c:
            c.raw(data)
            error_of(c.read(), "io.vnetd.Invalid")
            check(c.read() is None, f"{what}: it hangs up")
    with Client() as c:
        c.raw(b"half a message without an end")
        c.s.shutdown(socket.SHUT_WR)
        while c.read() is not None:
            pass
    with Client() as c:
        c.raw(os.urandom(100000).replace(b"\0", b"") + b"\0")
        error_of(c.read(), "io.vnetd.Invalid")
    ok("garbage is refused, and hung up on")
    serves()

    for size in (MESSAGE_MAX + 1, 20 * 1024 * 1024):
        with Client() as c:
            head = b'{"method":"io.vnetd.List","parameters":{"x":"'
            try:
                c.raw(head)
                for _ in range(0, size, 65536):
                    c.raw(b"x" * 65536)
                c.raw(b'"}}\0')
            except (BrokenPipeError, ConnectionResetError):
                pass
            try:
                reply = c.read()
                check(reply is None or reply["error"] == "io.vnetd.Invalid", f"{reply}")
            except (AssertionError, OSError):
                pass
    check("parameters" in call("io.vnetd.Why", {"guest": "vm1", "name": "a" * 10, "pool": "enp1s0"}), "")
    ok("oversized messages are refused")
    serves()


def descriptors():
    """Nobody asked for any: they are not kept."""
    before = fds_of_daemon()
    data = json.dumps({"method": "io.vnetd.List"}).encode() + b"\0"
    for n in (1, 3, 16, 200):
        with Client() as c, open("/dev/null", "rb") as f:
            fds = array.array("i", [f.fileno()] * n)
            c.s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            reply = c.read()
            check(reply is None or reply.get("error", "").startswith("io.vnetd.")
                  or "attachments" in reply["parameters"], f"{reply}")
    with Client() as c, open("/dev/null", "rb") as f: # with a byte in the middle of a message
        c.raw(data[:5])
        c.s.sendmsg([data[5:6]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [f.fileno()]))])
        try:
            c.raw(data[6:])
        except (BrokenPipeError, ConnectionResetError):
            pass
    serves()
    settle(before)
    ok("descriptors that nobody asked for")


def settle(before):
    """The daemon has no more descriptors than before."""
    end = time.monotonic() + 5
    while fds_of_daemon() > before and time.monotonic() < end:
        time.sleep(0.02)
    check(fds_of_daemon() <= before, f"{fds_of_daemon()} descriptors, {before} before")


def many():
    before = fds_of_daemon()
    root = os.geteuid() == 0
    limit = 1024 if root else 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < limit + 100:
        print(f"# only {hard} descriptors here: many connections left out")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit + 200), hard))
    clients, refused = [], 0
    for _ in range(limit + 20):
        c = Client()
        c.send("io.vnetd.List")
        clients.append(c)
    for c in clients:
        reply = c.read()
        if reply and reply.get("error") == "io.vnetd.Limit":
            refused += 1
            check(c.read() is None, "who is refused is hung up on")
        else:
            check(reply and "attachments" in reply["parameters"], f"{reply}")
    check(refused == 20, f"{refused} of {limit + 20} connections were refused, not 20")
    for c in clients:
        c.s.close()
    settle(before)
    serves()
    ok(f"{limit} connections at once, 20 more refused, all forgotten")

    for _ in range(500):
        Client().s.close()
    settle(before)
    ok("500 that only come and go")


def memory(what=1):
    with open(f"/proc/{PID}/statm", encoding="ascii") as f:
        return int(f.read().split()[what]) * resource.getpagesize()


def anonymous():
    """What the daemon itself has; None under a sanitizer, which keeps what was freed."""
    with open(f"/proc/{PID}/maps", encoding="ascii") as f:
        if "san.so" in f.read():
            return None
    return memory(1) - memory(2)


def ten_thousand():
    """All there at once as far as descriptors go, and each says something: most are refused."""
    before, was = fds_of_daemon(), anonymous()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    at_once = 10000 if hard == resource.RLIM_INFINITY else min(10000, hard - 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (at_once + 100, hard))
    for turn in range(2):
        left, kinds = 10000, {"served": 0, "refused": 0, "silent": 0}
        while left > 0:
            clients = []
            for i in range(min(at_once, left)):
                clients.append(Client())
                try:
                    if i % 3 == 0:
                        clients[-1].send("io.vnetd.List")
                    elif i % 3 == 1:
                        clients[-1].raw(b'{"method":"io.vne')
                except (BrokenPipeError, ConnectionResetError):
                    pass # refused already
            check(fds_of_daemon() <= before + 1024 + 16, f"{fds_of_daemon()} descriptors") # one more is being refused
            for i, c in enumerate(clients):
                c.s.settimeout(30 if i % 3 == 0 else 0)
                try:
                    reply = c.read()
                except BlockingIOError:
                    reply = {"error": "none"}
                kinds["silent" if reply is None or reply.get("error") == "none" else
                      "refused" if "error" in reply else "served"] += 1
                check(not reply or reply.get("error") in (None, "none", "io.vnetd.Limit"), f"{reply}")
            left -= len(clients)
            for c in clients:
                c.s.close()
            settle(before)
            serves()
        check(kinds["served"] > 0 and kinds["refused"] > 0, f"{kinds}")
        is_now = anonymous()
        if turn == 0:
            first = is_now
    if was is not None:
        check(first - was < 1 << 20 and is_now - first < 256 << 10,
              f"memory: {was} before, {first} after 10000, {is_now} after 20000")
        was, is_now = f"{was >> 10} KiB", f"{is_now >> 10} KiB"
    ok(f"10000 connections, {at_once} at once: {kinds}; twice: memory {was} -> {is_now}, "
       f"{fds_of_daemon()} descriptors as before")


def never_reads():
    """It asks and asks, and reads nothing: it holds up itself alone."""
    before, rss = fds_of_daemon(), memory()
    greedy = []
    for _ in range(20):
        c = Client()
        c.s.setblocking(False)
        data = (json.dumps({"method": "io.vnetd.Inventory"}).encode() + b"\0") * 200
        try:
            while True:
                c.s.send(data)
        except BlockingIOError:
            pass
        greedy.append(c)
    for _ in range(20):
        serves()
    grown = memory() - rss
    check(grown < 64 * 1024 * 1024, f"the daemon grew by {grown} bytes")
    for c in greedy:
        c.s.close()
    settle(before)
    serves()
    ok(f"20 clients that never read: served besides, {grown // 1024} KiB more")


def leaves():
    """The client of an attach goes: wire.sh looks what became of it."""
    with Client() as c:
        c.send("io.vnetd.Attach", {"guest": "vm2", "name": "left"})
    serves()
    ok("a client that does not wait for its answer")


for part in (well_behaved, service_errors, shapes, garbage, descriptors, many, ten_thousand, never_reads,
             leaves):
    part()
