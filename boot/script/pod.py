"""The few things of the boot script that a shell cannot do well. Runs as: python3 -c TEXT WORD ARGUMENTS, on any
Python from 3.6, with the standard library only."""
import concurrent.futures as cf, hashlib, json, os, re, signal, subprocess, sys, threading, time
import urllib.error, urllib.parse, urllib.request

AGENT = os.environ.get("JR_AGENT", "justright")
PIECE = 32 << 20


def fail(code, text):
    print("justright note text=" + json.dumps(text[:400], ensure_ascii=True), flush=True)
    sys.exit(code)


def call(method, url, token="", headers=None, data=None, timeout=30):
    r = urllib.request.Request(url, data=data, method=method, headers=dict(headers or {}))
    r.add_header("User-Agent", AGENT)
    if token:
        # Not sent on to the host that a redirect names.
        r.add_unredirected_header("Authorization", "Bearer " + token)
    return urllib.request.urlopen(r, timeout=timeout)


def http(method, url, seconds, body=""):
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *a):
            return None

    r = urllib.request.Request(url, data=body.encode() or None, method=method, headers={"User-Agent": AGENT})
    if os.environ.get("JR_KEY"):
        r.add_header("Authorization", "Bearer " + os.environ["JR_KEY"])
    if body:
        r.add_header("Content-Type", "application/json")
    try:
        a = urllib.request.build_opener(Stay).open(r, timeout=float(seconds))
    except urllib.error.HTTPError as e:
        a = e
    print("HTTP/1.1 %d x\n%s\n" % (a.getcode(), a.headers))
    sys.stdout.write(a.read(4 << 20).decode("utf-8", "replace"))


def uv(index, version, into):
    import platform

    page = index.rstrip("/") + "/uv/"
    html = call("GET", page).read().decode()
    machine = platform.machine().replace("arm64", "aarch64").replace("AMD64", "x86_64")
    best = None
    for href, name in re.findall(r'<a[^>]*?href="([^"]+)"[^>]*>\s*([^<]+?)\s*</a>', html):
        if not (name.startswith("uv-%s-" % version) and name.endswith(".whl") and machine in name):
            continue
        kind = "macosx" if sys.platform == "darwin" else "manylinux"
        if kind in name or (best is None and "musllinux" in name and kind == "manylinux"):
            best = (urllib.parse.urljoin(page, href), name)
            if kind in name:
                break
    if not best:
        fail(20, "the index has no uv %s for %s" % (version, machine))
    url, _, want = best[0].partition("#sha256=")
    blob = call("GET", url, timeout=120).read()
    if want and hashlib.sha256(blob).hexdigest() != want:
        fail(20, "uv %s arrived damaged" % version)
    with open(os.path.join(into, best[1]), "wb") as f:
        f.write(blob)


def reuse(python, lock, out):
    """Leaves out of the lock what the image has at exactly that version, torch above all. Only when torch is among it."""
    code = ("import importlib.metadata as m,json\n"
            "print(json.dumps({(d.metadata['Name'] or '').lower().replace('_','-'):d.version for d in m.distributions()}))")
    try:
        have = json.loads(subprocess.check_output([python, "-c", code], stderr=subprocess.DEVNULL).decode())
    except Exception:
        sys.exit(1)
    text = open(lock).read()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    keep, gone = [], []
    for b in blocks:
        m = re.match(r"([A-Za-z0-9._-]+)==([^\s\\;]+)", b)
        name = m.group(1).lower().replace("_", "-") if m else ""
        ours = name in ("torch", "torchvision", "torchaudio", "triton") or name.startswith("nvidia-")
        if m and ours and have.get(name) == m.group(2):
            gone.append(name)
        else:
            keep.append(b)
    if "torch" not in gone:
        sys.exit(1)
    with open(out, "w") as f:
        f.write("\n".join(keep) + "\n")
    print("justright note text=" + json.dumps("the image's own torch fits: %d packages less to install" % len(gone)), flush=True)


def split(lock, small, large):
    """Two locks of one: what takes long to fetch and holds little Python, torch and CUDA, and everything else."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", open(lock).read().strip("\n"))
    slow = re.compile(r"(nvidia-|torch==|triton==|flashinfer-(cubin|jit-cache)==|sgl-kernel==)")
    for path, kept in ((small, [b for b in blocks if not slow.match(b)]), (large, [b for b in blocks if slow.match(b)])):
        with open(path, "w") as f:
            f.write("\n".join(kept) + "\n" if kept else "")


IMPORT = re.compile(
    r"^([ \t]*)(?:((?:async )?def\b|if .*TYPE_CHECKING)|from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)"
    r"|import[ \t]+([^\n#]*)|(?:try|if|else|elif|except|finally|with|class|for|while)\b|[@A-Za-z_](?=[\w.]*[ (=]))", re.M)


def imports(package, text):
    """The names of the modules that a module imports when it is imported itself: not in functions, not for types."""
    out, inside = [], None
    for m in IMPORT.finditer(text):
        depth = len(m.group(1).expandtabs())
        if inside is not None and depth > inside:
            continue
        inside = depth if m.group(2) else None
        if m.group(6) is not None:
            out.extend(w.split()[0] for w in m.group(6).split(",") if w.strip())
        elif m.group(5) is not None:
            origin = m.group(4)
            if m.group(3):
                up = package.split(".")
                origin = ".".join(up[: len(up) - len(m.group(3)) + 1] + ([origin] if origin else []))
            names = re.sub(r"#.*", "", m.group(5).strip("() \t")).replace("\n", " ").split(",")
            out.append(origin)
            out.extend(origin + "." + w.split()[0] for w in names if w.strip())
    return out


def compiled(*roots):
    """Writes the byte code of what the roots import, as far as it is there, so that the engine's first start finds it."""
    import importlib.util, sysconfig
    from importlib._bootstrap_external import _code_to_timestamp_pyc as pyc

    site = sysconfig.get_path("purelib")
    os.nice(10)

    def look(name):
        path = os.path.join(site, *name.split("."))
        package = os.path.isfile(path + "/__init__.py")
        path += "/__init__.py" if package else ".py"
        with open(path, "rb") as f:
            raw = f.read()
        target = importlib.util.cache_from_source(path)
        if not os.path.exists(target):
            at = os.stat(path)
            code = compile(raw, path, "exec", dont_inherit=True)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            part = "%s.%d" % (target, os.getpid())
            with open(part, "wb") as f:
                f.write(pyc(code, int(at.st_mtime), at.st_size))
            os.replace(part, target)
        return imports(name if package else name.rpartition(".")[0], raw.decode("utf-8", "replace"))

    seen, queue = set(), []

    def add(names):
        for name in names:
            parts = name.split(".")
            for n in (".".join(parts[:i]) for i in range(1, len(parts) + 1)):
                if n not in seen:
                    seen.add(n)
                    queue.append(n)

    add(roots)
    for name in queue:
        try:
            add(look(name))
        except (OSError, SyntaxError, ValueError):
            pass


def hub_error(e):
    code, header = e.code, (e.headers.get("X-Error-Code") or "")
    said = (e.headers.get("X-Error-Message") or "").lower()
    if header == "GatedRepo":
        return 22
    if header in ("RepoNotFound", "RevisionNotFound"):
        return 24
    if header == "EntryNotFound":
        return 25
    if code in (401, 403):
        return 23 if "invalid" in said or (code == 401 and os.environ.get("HF_TOKEN")) else 22
    return {404: 24, 429: 26}.get(code, 21)


def wanted(names):
    """The files an engine loads: safetensors, else bin, and everything small beside them."""
    out = []
    tensors = any(n.endswith(".safetensors") and "/" not in n for n in names)
    sharded = any(n.startswith("model") and n.endswith(".safetensors") for n in names)
    for n in names:
        low = n.lower()
        if "/" in n or low.startswith("."):
            continue
        if low.startswith("consolidated") and sharded:
            continue
        if low.endswith(".safetensors") or low.endswith((".json", ".jsonl", ".txt", ".model", ".jinja", ".py", ".tiktoken", ".yaml")):
            out.append(n)
        elif low.endswith(".bin") and not tensors and not low.startswith(("training_args", "optimizer", "scheduler")):
            out.append(n)
    return out


class Stalled(Exception):
    pass


class Fetch:
    def __init__(self, hub, model, sha, into, files, token):
        self.url = "%s/%s/resolve/%s/" % (hub, urllib.parse.quote(model), sha)
        self.into, self.files, self.token = into, files, token
        self.total = sum(f[1] or 0 for f in files)
        self.done, self.moved, self.lock = 0, time.time(), threading.Lock()

    def add(self, n):
        with self.lock:
            self.done += n
            self.moved = time.time()

    def piece(self, name, size, at):
        """One range into its place; what has arrived stays, a cut transfer goes on where it stopped."""
        path, end = os.path.join(self.into, name + ".part"), min(at + PIECE, size)
        pos, tries = at, 0
        fd = os.open(path, os.O_WRONLY)
        try:
            while pos < end:
                try:
                    head = {"Range": "bytes=%d-%d" % (pos, end - 1)} if size > 0 else {}
                    with call("GET", self.url + urllib.parse.quote(name), self.token, head) as r:
                        if r.getcode() != 206:
                            skip = pos
                            while skip > 0:
                                got = r.read(min(skip, 1 << 20))
                                if not got:
                                    raise OSError("cut off")
                                skip -= len(got)
                        while pos < end:
                            got = r.read(min(1 << 20, end - pos))
                            if not got:
                                raise OSError("cut off")
                            os.pwrite(fd, got, pos)
                            pos += len(got)
                            tries = 0
                            self.add(len(got))
                except urllib.error.HTTPError as e:
                    if e.code not in (408, 425, 429, 500, 502, 503, 504) or tries >= 6:
                        raise
                    tries += 1
                    time.sleep(min(2 ** tries, 30))
                except (OSError, urllib.error.URLError) as e:
                    if getattr(e, "errno", None) == 28 or tries >= 6:
                        raise
                    tries += 1
                    time.sleep(min(2 ** tries, 30))
        finally:
            os.close(fd)
        with self.lock:
            with open(path + ".done", "a") as f:
                f.write("%d\n" % at)

    def plan(self):
        work = []
        for name, size, _ in self.files:
            path = os.path.join(self.into, name)
            if os.path.exists(path) and os.path.getsize(path) == size:
                self.add(size)
                continue
            have = set()
            if os.path.exists(path + ".part") and os.path.getsize(path + ".part") == size:
                try:
                    have = {int(l) for l in open(path + ".part.done").read().split()}
                except (OSError, ValueError):
                    pass
            else:
                if os.path.exists(path + ".part.done"):
                    os.remove(path + ".part.done")
                with open(path + ".part", "wb") as f:
                    f.truncate(size)
            for at in range(0, size, PIECE):
                if at in have:
                    self.add(min(PIECE, size - at))
                else:
                    work.append((name, size, at))
        return work

    def run(self):
        work = self.plan()
        pool = cf.ThreadPoolExecutor(max_workers=int(os.environ.get("JR_STREAMS", "8")))
        left = [pool.submit(self.piece, *w) for w in work]
        said = -1
        while left:
            finished, left = cf.wait(left, timeout=1, return_when=cf.FIRST_EXCEPTION)
            left = list(left)
            for f in finished:
                f.result()
            if self.done != said:
                said = self.done
                print("justright progress phase=weights done=%d total=%d unit=bytes" % (said, self.total), flush=True)
            if left and time.time() - self.moved > float(os.environ.get("JR_STALL", "180")):
                raise Stalled()
        for name, size, digest in self.files:
            path = os.path.join(self.into, name)
            if not os.path.exists(path + ".part"):
                continue
            if digest and size <= 64 << 20:
                with open(path + ".part", "rb") as f:
                    if hashlib.sha256(f.read()).hexdigest() != digest:
                        os.remove(path + ".part.done")
                        raise OSError(name + " arrived damaged")
            os.replace(path + ".part", path)
            if os.path.exists(path + ".part.done"):
                os.remove(path + ".part.done")


def listing(hub, model, revision, token):
    """The commit and the files of a revision, with sizes and digests as far as the hub tells."""
    api = "%s/api/models/%s" % (hub, urllib.parse.quote(model))
    info = json.loads(call("GET", "%s/revision/%s" % (api, urllib.parse.quote(revision, safe="")), token).read().decode())
    sha = info.get("sha") or revision
    files, url = {}, "%s/tree/%s?recursive=true" % (api, sha)
    try:
        while url:
            r = call("GET", url, token)
            for e in json.loads(r.read().decode()):
                if e.get("type") == "file":
                    lfs = e.get("lfs") or {}
                    files[e["path"]] = (lfs.get("size") or e.get("size"), lfs.get("oid") or "")
            m = re.search(r'<([^>]+)>;\s*rel="next"', r.headers.get("Link") or "")
            url = urllib.parse.urljoin(url, m.group(1)) if m else ""
    except urllib.error.HTTPError:
        files = {s["rfilename"]: (None, "") for s in info.get("siblings") or []}
    return sha, files


def weights(hub, model, revision, into, marker):
    token = os.environ.get("HF_TOKEN", "")
    try:
        for n in range(5):
            try:
                sha, files = listing(hub, model, revision, token)
                break
            except urllib.error.HTTPError as e:
                if e.code < 500 or n == 4:
                    raise
                time.sleep(2 ** n)
        done = os.path.join(into, marker)
        if os.path.exists(done) and open(done).read().strip() == sha:
            return
        os.makedirs(into, exist_ok=True)
        if os.path.exists(done):
            os.remove(done)
        names = wanted(sorted(files))
        if not any(n.endswith((".safetensors", ".bin")) for n in names):
            fail(36, "%s has neither safetensors nor bin files" % model)
        todo = []
        for n in names:
            size, digest = files[n]
            if size is None:
                r = call("HEAD", "%s/%s/resolve/%s/%s" % (hub, urllib.parse.quote(model), sha, urllib.parse.quote(n)), token)
                size = int(r.headers.get("X-Linked-Size") or r.headers["Content-Length"])
            todo.append((n, size, digest))
        Fetch(hub, model, sha, into, todo, token).run()
        with open(done, "w") as f:
            f.write(sha + "\n")
    except urllib.error.HTTPError as e:
        code = hub_error(e)
        fail(code, "the hub answers HTTP %d for %s" % (e.code, model))
    except Stalled:
        fail(38, "no byte of %s arrived for minutes" % model)
    except OSError as e:
        fail(35 if e.errno in (28, 122) else 21, "download of %s: %s" % (model, e))
    except SystemExit:
        raise
    except Exception as e:
        fail(21, "download of %s: %s: %s" % (model, type(e).__name__, e))


WRAPPERS = ("Engine core initialization failed", "See root cause above", "EngineDeadError", "initialization failed due to an exception")


# What the guard and the wait for readiness leave in an access log, every few seconds, for ever.
OURS = re.compile(rb'INFO: +127\.0\.0\.1:\d+ - "GET /(?:metrics|health) HTTP/1\.1" 200 OK')


def engine(*argv):
    """Runs the engine in a session of its own, passes its words on without our secrets, forwards the end."""
    env = dict(os.environ)
    secrets = [env[k] for k in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "RUNPOD_API_KEY", "VLLM_API_KEY") if len(env.get(k, "")) > 7]
    for k in list(env):
        if k in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "RUNPOD_API_KEY", "JR_T0") or (k.startswith("JUSTRIGHT_") and k != "JUSTRIGHT_MACHINE"):
            del env[k]
    if sys.platform == "linux":
        try:
            import ctypes

            ctypes.CDLL(None).prctl(1, signal.SIGTERM)
        except Exception:
            pass

    def first_to_die():
        try:
            with open("/proc/self/oom_score_adj", "w") as f:
                f.write("900")
        except OSError:
            pass

    try:
        p = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             start_new_session=True, preexec_fn=first_to_die)
    except OSError as e:
        print("%s: %s" % (argv[0], e.strerror), flush=True)
        sys.exit(127 if e.errno == 2 else 126)

    if os.environ.get("JUSTRIGHT_MACHINE"):
        with open(os.path.join(os.environ.get("JUSTRIGHT_RUN", "."), "engine.pid"), "w") as f:
            f.write(str(p.pid))

    def end(*_):
        def last():
            try:
                os.killpg(p.pid, signal.SIGKILL)
            except OSError:
                pass

        # Only the first process: it stops its own children in order, and complains when they are gone before.
        try:
            os.kill(p.pid, signal.SIGTERM)
        except OSError:
            pass
        t = threading.Timer(20, last)
        t.daemon = True
        t.start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    out, error, rest = sys.stdout.fileno(), "", b""
    secrets = [s.encode() for s in secrets]

    def tell(line):
        for s in secrets:
            line = line.replace(s, b"***")
        while line:
            line = line[os.write(out, line):]

    done = threading.Event()

    def pump():
        nonlocal error, rest
        while True:
            got = os.read(p.stdout.fileno(), 1 << 16)
            if not got:
                break
            rest += got
            lines = rest.splitlines(True)
            rest = lines.pop() if lines and not lines[-1].endswith((b"\n", b"\r")) and len(lines[-1]) < 1 << 20 else b""
            lines = [l for l in lines if not OURS.match(l)]
            for l in lines:
                text = l.decode("utf-8", "replace")
                m = re.search(r"(?:^|\s)((?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Interrupt): .*|\S+: error: .*)", text)
                if m and not any(w in text for w in WRAPPERS):
                    error = m.group(1).strip()
            tell(b"".join(lines))
        if rest:
            tell(rest + b"\n")
        done.set()

    t = threading.Thread(target=pump)
    t.daemon = True
    t.start()
    code = p.wait()
    done.wait(3)
    try:
        os.killpg(p.pid, signal.SIGKILL)
    except OSError:
        pass
    if code != 0 and error:
        for s in secrets:
            error = error.replace(s.decode("utf-8", "replace"), "***")
        print("justright note text=" + json.dumps("the engine's last error: " + error[:400], ensure_ascii=True), flush=True)
    sys.exit(code if code >= 0 else 128 - code)


{"http": http, "uv": uv, "reuse": reuse, "split": split, "compiled": compiled, "weights": weights, "engine": engine}[sys.argv[1]](*sys.argv[2:])
