"""Where it was measured, and whether it can be."""
import os
import platform
import subprocess

HUGE_MB = 1500


def first_line(*argv, cwd=None):
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True, cwd=cwd).stdout.splitlines()[0].strip()
    except (OSError, subprocess.SubprocessError, IndexError):
        return "?"


def cpu_field(key):
    with open("/proc/cpuinfo") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith(key)), "?")


def has_avx512():
    """What rte_fib and rte_fib6 want for their vector lookups."""
    flags = cpu_field("flags").split()
    return all(f in flags for f in ("avx512f", "avx512dq", "avx512bw"))


def huge_free_mb():
    words = dict(line.split(":") for line in open("/proc/meminfo"))
    return int(words["HugePages_Free"]) * int(words["Hugepagesize"].split()[0]) // 1024


def facts(args, top):
    """Lines for the head of a report."""
    commit = first_line("git", "rev-parse", "--short=12", "HEAD", cwd=top)
    dirty = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=top, check=False).returncode
    compiler = first_line("sh", "-c", "${CC:-gcc} --version")
    return [f"machine: {cpu_field('model name')} family {cpu_field('cpu family')} model {cpu_field('model')}, "
            f"{os.cpu_count()} CPUs, TSC {float(cpu_field('bogomips')) / 2:.0f} MHz, "
            f"AVX-512 {'yes' if has_avx512() else 'no: rte_fib and rte_fib6 of the bare loop look up scalar'}",
            f"kernel {platform.release()}, {compiler}, DPDK {first_line('pkg-config', '--modversion', 'libdpdk')}, "
            f"commit {commit}{' with changes' if dirty else ''}, load {os.getloadavg()[0]:.1f}, workers on CPU {args.cpu}"]


def problem(args):
    """One line that says what is missing and what to do, or None."""
    if os.geteuid():
        return "need root, for namespaces and huge pages: sudo make bench"
    if os.uname().machine != "x86_64":
        return "need x86-64 (cycles are of its TSC)"
    if os.cpu_count() < 2:
        return "need two CPUs, have one: one forwards, the rest is the kernel's and control's"
    missing = [p for p in ("lintasd", "lintas-keeper", "lintasctl", "bareloop", "cryptoloop", "net_bench.so") if not os.path.exists(f"{args.build}/{p}")]
    if missing:
        return f"need {', '.join(missing)} in {args.build}: make all bench-build"
    if huge_free_mb() < HUGE_MB:
        return f"need {HUGE_MB} MB of free huge pages, have {huge_free_mb()} MB: sysctl -w vm.nr_hugepages=1024"
    return None
