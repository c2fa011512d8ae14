"""What an agent could try: run in its place, in its pod, with its rights. Prints what it found as one line."""

import glob
import json
import os
import re
import socket
import stat
import urllib.error
import urllib.request

told = json.load(open("targets.json"))


def read(path, most=1 << 22):
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError:
        return b""


def reached(host, port):
    try:
        socket.create_connection((host, port), 3).close()
        return True
    except OSError:
        return False


def files():
    """Every file that is no program and that this user can read, but for what the image itself brings."""
    for top in ("/work", "/tmp", "/var/run", "/run", "/codex-k8s", "/etc", "/home", "/root", "/dev/shm", "/mnt", "/srv"):
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                try:
                    if stat.S_ISREG(os.stat(path).st_mode):
                        yield path
                except OSError:
                    pass


def texts():
    for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
        yield path, read(path)
    for path in files():
        content = read(path)
        if not content.startswith(b"\x7fELF"):
            yield path, content


def answer(url, token):
    request = urllib.request.Request(url, headers={"authorization": "Bearer " + token} if token else {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        return opener.open(request, timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return str(error)


# They stand there backwards, so that this search does not find its own question.
needles = {name: text[::-1].encode() for name, text in told["needles"].items()}
seen = list(texts())
held = {name: [path for path, text in seen if needle in text] for name, needle in needles.items()}
own = b"".join(text for path, text in seen if path.endswith("/environ"))
model_tokens = set(re.findall(rb"cmt" + rb"_[0-9a-f]{64}", own))
launch = read("/var/run/codex-k8s/token").decode().strip()
tokens = {"none": "", "launch": launch, "model": next(iter(model_tokens), b"").decode()}
asked = {
    f"{kind} {path}": answer(told["gateway"] + path, token) for kind, token in tokens.items() for path in told["paths"]
}
memory = []
for folder in glob.glob("/proc/[0-9]*"):
    command = read(folder + "/cmdline")
    if b"\0runner\0" in command + b"\0" and b"codex-k8s" in command + read(folder + "/comm"):
        memory.append(os.access(folder + "/mem", os.R_OK) or bool(read(folder + "/environ")))
print(
    "PROBE "
    + json.dumps(
        {
            "reached": [name for name, (host, port) in told["places"].items() if reached(host, port)],
            "held": {name: paths for name, paths in held.items() if paths},
            "looked_at": len(seen),
            "model_tokens": len(model_tokens),
            "launch_token": bool(launch),
            "asked": asked,
            "account": os.path.exists("/var/run/secrets/kubernetes.io"),
            "runner_memory": memory,
            "capabilities": re.search(r"CapEff:\s*(\w+)", read("/proc/self/status").decode()).group(1),
        }
    )
)
