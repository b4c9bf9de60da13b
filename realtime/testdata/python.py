# What a user of python-socketio expects: python3 python.py URL TRANSPORTS
import sys, threading
import socketio

url, transports = sys.argv[1], sys.argv[2]
how = {} if transports == "upgrade" else {"transports": [transports]}


def connect(namespaces=("/",), auth=None):
    s = socketio.Client(reconnection=False)
    s.connect(url, namespaces=list(namespaces), auth=auth, wait_timeout=5, **how)
    return s


def values():
    s = connect()
    value = {"text": "てすと", "list": [1, None, True, 1.5]}
    assert s.call("echo", value, timeout=5) == value
    back = s.call("echo", {"file": b"bytes", "more": [b"\x01\xff"]}, timeout=5)
    assert back == {"file": b"bytes", "more": [b"\x01\xff"]}, back
    s.disconnect()


def several():
    s = connect()
    assert list(s.call("swap", ("a", {"b": 1}), timeout=5)) == [{"b": 1}, "a"]
    s.disconnect()


def rooms():
    a, b = connect(), connect()
    got = threading.Event()
    a.on("said", lambda v: v == {"x": b"y"} and got.set())
    a.call("join", "snakes", timeout=5)
    b.emit("say", ("snakes", {"x": b"y"}))
    assert got.wait(5)
    a.disconnect(), b.disconnect()


def namespaces():
    s = connect(["/", "/other"])
    assert s.call("where", namespace="/other", timeout=5) == "/other"
    assert s.call("id", namespace="/other", timeout=5) == s.get_sid("/other")
    s.disconnect()


def asked():
    s = connect()
    s.on("question", lambda n: n * 2)
    assert s.call("ask me", 21, timeout=5) == 42
    s.disconnect()


def authorised():
    s = connect(["/guarded"], auth={"token": "secret"})
    assert s.call("who", namespace="/guarded", timeout=5) == "secret"
    s.disconnect()
    try:
        connect(["/guarded"], auth={"token": "wrong"})
        assert False, "let in"
    except socketio.exceptions.ConnectionError:
        pass


def kicked():
    s = connect()
    gone = threading.Event()
    s.on("disconnect", lambda *a: gone.set())
    s.emit("kick me")
    assert gone.wait(5)


for check in (values, several, rooms, namespaces, asked, authorised, kicked):
    try:
        check()
        print("ok", check.__name__, flush=True)
    except Exception as e:
        print("not ok", check.__name__, repr(e), flush=True)
sys.exit(0)
