"""A Linux guest whose virtio NICs are TAPs in a namespace: Debian's cloud kernel, busybox, ip as ip2, BIRD.

Kernel and initrd are made once, in BUILD/guest. The guest runs commands given over its serial line. TCG: up in
a few seconds everywhere, while nested KVM dies on a machine whose host hides a register."""
import glob
import os
import re
import select
import shutil
import subprocess
import time

MODULES = ("virtio_pci", "virtio_net", "bonding")
TUNNELS = ("dummy", "ip_gre", "ip6_gre", "ipip", "sit", "ip6_tunnel", "geneve", "vxlan",
           "esp4", "esp6", "xfrm_user", "xfrm_interface", "sha512_generic", "jitterentropy_rng", "drbg", "gcm", "ctr", "ghash-generic", "seqiv", "echainiv", "authenc")
PACKAGE = "linux-image-cloud-amd64"
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
while read -r m; do insmod "/m/${m%% *}" $(echo "$m " | cut -s -d ' ' -f 2-); done </m/list
ip link set lo up
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -echo
echo VM-UP
while read -r line; do eval "$line"; done
poweroff -f
"""


class Missing(Exception):
    """No guest can be made here; the text says why."""


def sh(*argv, **kw):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **kw).stdout


def kernel(folder):
    """Unpack Debian's kernel package below folder; its release."""
    if not glob.glob(f"{folder}/k/boot/vmlinuz-*"):
        depends = sh("apt-cache", "depends", PACKAGE)
        found = re.search(r"Depends: (linux-image-\S+)", depends)
        if not found:
            raise Missing(f"apt knows no {PACKAGE}: apt-get update")
        try:
            sh("apt-get", "download", found[1], cwd=folder, timeout=120)
        except subprocess.SubprocessError as e:
            raise Missing(f"{found[1]} cannot be downloaded: {(getattr(e, 'stderr', '') or str(e)).strip()[-200:]}") from None
        for deb in glob.glob(f"{folder}/linux-image-*.deb"):
            sh("dpkg", "-x", deb, f"{folder}/k")
            os.unlink(deb)
    return os.path.basename(glob.glob(f"{folder}/k/boot/vmlinuz-*")[0])[len("vmlinuz-"):]


def programs(root):
    """The host's ip as ip2, which knows more kinds of links than busybox, BIRD where there is one, and their libraries."""
    for program, name in (("ip", "ip2"), ("bird", "bird"), ("birdc", "birdc")):
        path = shutil.which(program)
        if not path:
            continue
        shutil.copy(path, f"{root}/bin/{name}")
        for library in re.findall(r"(/\S+) \(0x", sh("ldd", path)):
            os.makedirs(root + os.path.dirname(library), exist_ok=True)
            shutil.copy(library, root + library)


def initrd(folder, release):
    root, lines, done = f"{folder}/root", [], set()
    shutil.rmtree(root, ignore_errors=True)
    for d in ("bin", "m", "dev", "proc", "sys", "tmp"):
        os.makedirs(f"{root}/{d}")
    sh("depmod", "-b", f"{folder}/k", release)
    for module in MODULES + TUNNELS:
        for line in sh("modprobe", "-S", release, "-d", f"{folder}/k", "--show-depends", module).splitlines():
            _, file, *options = line.split()
            if file not in done:
                done.add(file)
                shutil.copy(file, f"{root}/m/")
                lines.append(" ".join([os.path.basename(file), *options]))
    with open(f"{root}/m/list", "w") as f:
        f.write("\n".join(lines) + "\n")
    shutil.copy("/bin/busybox", f"{root}/bin/busybox")
    programs(root)
    with open(f"{root}/init", "w") as f:
        f.write(INIT)
    os.chmod(f"{root}/init", 0o755)
    sh("sh", "-c", f"cd {root} && find . | cpio -o -H newc | gzip -1 >{folder}/initrd.tmp && mv {folder}/initrd.tmp {folder}/initrd")


def prepare(build):
    """(kernel image, initrd), made or found."""
    need = {"qemu-system-x86_64": "qemu-system-x86", "cpio": "cpio", "depmod": "kmod", "dpkg": "dpkg", "busybox": "busybox-static"}
    for program, package in need.items():
        if not shutil.which(program):
            raise Missing(f"needs {program}: apt-get install {package}")
    if subprocess.run(["ldd", "/bin/busybox"], capture_output=True).returncode == 0:  # "not a dynamic executable" otherwise
        raise Missing("busybox is not static: apt-get install busybox-static")
    folder = os.path.join(os.path.abspath(build), "guest")
    os.makedirs(folder, exist_ok=True)
    release = kernel(folder)
    if not os.path.exists(f"{folder}/initrd") or os.path.getmtime(f"{folder}/initrd") < os.path.getmtime(__file__):
        initrd(folder, release)
    return f"{folder}/k/boot/vmlinuz-{release}", f"{folder}/initrd"


class Guest:
    def __init__(self, world, build, taps, ns="gw"):
        image, ram = prepare(build)
        argv = ["nice", "-n", "5", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "256", "-smp", "1", "-display", "none",
                "-monitor", "none", "-serial", "stdio", "-no-reboot", "-nodefaults", "-kernel", image, "-initrd", ram,
                "-append", "console=ttyS0 quiet panic=-1"]
        for i, tap in enumerate(taps):
            argv += ["-netdev", f"tap,id=n{i},ifname={tap},script=no,downscript=no,vnet_hdr=off", "-device",
                     f"virtio-net-pci,netdev=n{i},mac=02:00:00:00:77:0{i},romfile=,speed=1000,duplex=full"]
        self.process = world.spawn("qemu", ns, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.text, self.serial = "", 0

    def until(self, pattern, seconds):
        """What it said up to a line that matches, and the match."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text)
            if found:
                said, self.text = self.text[:found.start()], self.text[found.end():]
                return said, found
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise AssertionError(f"the guest did not say {pattern!r} within {seconds} s: {self.text[:1500]!r}")
            self.text += data.decode(errors="replace").replace("\r", "")

    def wait_up(self, seconds=60):
        self.until("VM-UP\n", seconds)

    def run(self, command, seconds=15):
        """A shell command in the guest; its output. It must succeed."""
        self.serial += 1
        self.process.stdin.write(f"{command}; echo \"@@\"{self.serial} $?\n".encode())
        self.process.stdin.flush()
        said, found = self.until(rf"@@{self.serial} (\d+)\n", seconds)
        if found[1] != "0":
            raise AssertionError(f"guest: {command}: status {found[1]}: {said[-300:]}")
        return said

    def bond(self, rate):
        b = "/sys/class/net/bond0/bonding"
        self.run("echo +bond0 >/sys/class/net/bonding_masters")
        for key, value in (("mode", "802.3ad"), ("lacp_rate", rate), ("miimon", "50"), ("xmit_hash_policy", "layer3+4")):
            self.run(f"echo {value} >{b}/{key}")
        self.run(f"for i in eth0 eth1; do ip link set $i down; echo +$i >{b}/slaves; done")
        self.run("ip link set bond0 up; for i in $(seq 2 17); do ip addr add 10.9.0.$i/24 dev bond0; done; ip route add default via 10.9.0.1; "
                 "ip addr add 2001:db8:9::2/64 dev bond0")

    def rate(self, rate):
        self.run(f"ip link set bond0 down; echo {rate} >/sys/class/net/bond0/bonding/lacp_rate; ip link set bond0 up; ip route add default via 10.9.0.1; "
                 "ip addr add 2001:db8:9::2/64 dev bond0 2>/dev/null; true")

    def packets(self):
        """(received, sent) of each NIC."""
        out = self.run("cat /sys/class/net/eth0/statistics/?x_packets /sys/class/net/eth1/statistics/?x_packets")
        n = [int(x) for x in out.split()]
        return (n[0], n[1]), (n[2], n[3])
