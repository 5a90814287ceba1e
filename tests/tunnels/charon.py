"""A strongSwan in a network namespace, for tests: Debian's charon with a folder of its own.

As our own (shim: the path of lintas-xfrm.so, socket: lintasd's) it uses kernel-netlink and believes to talk to
a kernel; as a peer it encrypts by itself (kernel-libipsec: a TUN ipsec0, always in UDP port 4500)."""
import os
import signal
import subprocess

from world import wait_for

CHARON = "/usr/lib/ipsec/charon"
PLUGINS = "random nonce aes sha1 sha2 hmac kdf gcm gmp openssl curve25519 pem pkcs1 x509 pubkey"


class Charon:
    def __init__(self, world, name, where, shim=None, socket=None):
        self.world, self.name, self.where, self.shim, self.socket = world, name, where, shim, socket
        self.folder = world.path(name)
        self.process = None
        os.makedirs(self.folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def conf(self):
        backend = "kernel-netlink" if self.shim else "kernel-libipsec kernel-netlink"
        return f"""charon {{
  load = {PLUGINS} {backend} socket-default vici
  install_routes = {"no" if self.shim else "yes"}
  install_virtual_ip = no
  retransmit_timeout = 1
  retransmit_base = 1.3
  plugins {{
    vici {{ socket = unix://{self.path("vici")} }}
    kernel-libipsec {{ allow_peer_ts = yes }}
  }}
  filelog {{ log {{ path = {self.path("log")}
    flush_line = yes
    time_format = %H:%M:%S
    default = 1
    knl = 2 }} }}
}}
"""

    def start(self):
        with open(self.path("strongswan.conf"), "w") as f:
            f.write(self.conf())
        env = dict(os.environ, STRONGSWAN_CONF=self.path("strongswan.conf"))
        run = CHARON
        if self.shim:
            run = f"env LD_PRELOAD={self.shim} LINTAS_XFRM={self.socket} {CHARON}"
        # Its pid file has a fixed name below /run: it gets a /run of its own, with the folders of the test.
        top = self.world.folder
        mounts = f"mount --bind {top} /mnt && mount -t tmpfs tmpfs /run && mkdir -p {top} && mount --move /mnt {top}"
        self.process = self.world.spawn(self.name, self.where, ["unshare", "-m", "sh", "-c", f"{mounts} && exec {run}"], env=env)
        wait_for(f"charon {self.name}: {self.world.log_tail(self.name)}", 10,
                 lambda: os.path.exists(self.path("vici")) or self.process.poll() is not None)
        return self

    def ctl(self, *words, timeout=30, check=True):
        env = dict(os.environ, STRONGSWAN_CONF=self.path("strongswan.conf"))
        p = subprocess.run(["swanctl", *words, "--uri", f"unix://{self.path('vici')}"], env=env, timeout=timeout,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if check and p.returncode:
            raise AssertionError(f"swanctl {' '.join(words)}: {p.stdout[-600:]}")
        return p.stdout

    def load(self, text):
        with open(self.path("swanctl.conf"), "w") as f:
            f.write(text)
        self.ctl("--load-all", "--file", self.path("swanctl.conf"))

    def log(self):
        return open(self.path("log"), errors="replace").read()

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            if os.path.exists(self.path("vici")):
                os.unlink(self.path("vici"))
            self.process = None

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
            self.kill()


def connection(name, local, remote, if_id=0, ike="aes128gcm16-prfsha256-x25519", esp="aes256gcm16", psk="lintas",
               rekey="", ours=True, start="none", ts="0.0.0.0/0", remote_ts=None):
    """swanctl.conf of one tunnel. rekey: further lines of the child."""
    ids = f"if_id_in = {if_id}\n if_id_out = {if_id}\n" if if_id else ""
    return f"""connections {{ {name} {{
 version = 2
 local_addrs = {local}
 remote_addrs = {remote}
 proposals = {ike}
 encap = yes
 mobike = no
 rekey_time = 0
 {ids}
 local {{ auth = psk
  id = {local} }}
 remote {{ auth = psk
  id = {remote} }}
 children {{ {name} {{
  local_ts = {ts}
  remote_ts = {remote_ts or ts}
  esp_proposals = {esp}
  start_action = {start}
  rekey_time = 0
  {rekey}
 }} }}
}} }}
secrets {{ ike-{name} {{ id-a = {local}
 id-b = {remote}
 secret = "{psk}" }} }}
"""
