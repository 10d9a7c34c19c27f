"""Starts the CPU engine's server, its engine process and its workers with one import of everything instead of three.

On a CPU the engine has each of its processes spawned, which imports all its modules again; on every other platform it
forks them. Here they are forked too, and what a spawned process would have got by its new start is done by hand:
the number of its OpenMP threads, the cores they may use, and not to hold the server's door open.
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

    # A model's class is looked at in a process of its own, so that a GPU is not touched too early. There is none.
    registry._run_in_subprocess = lambda look: look()
else:
    gc.enable()
runpy.run_module(module, run_name="__main__", alter_sys=True)
