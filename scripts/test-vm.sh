#!/bin/sh
# `make test-vm`: a guest of this machine's own distribution in QEMU, with systemd, control groups v2 and AppArmor, and in it
# Thenar as an ordinary user, as root and as a service. SUITE=trixie takes another release of the same distribution; ONLY='service
# doctors' tries some of the parts that test-vm-guest.sh has.
set -eu
cd "$(dirname "$0")/.."
here=$PWD

for program in qemu-system-x86_64 mmdebstrap mkfs.ext4 apt-get python3; do
    command -v "$program" >/dev/null 2>&1 || PATH="$PATH:/usr/sbin:/sbin"
    command -v "$program" >/dev/null 2>&1 || {
        echo "$program is missing: apt-get install qemu-system-x86 mmdebstrap e2fsprogs python3" >&2
        exit 1
    }
done
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
# shellcheck disable=SC1091 # the system's own file
own=$(. /etc/os-release && echo "$VERSION_CODENAME")
maker=$(. /etc/os-release && echo "$NAME" | cut -d' ' -f1)
suite=${SUITE:-$own}
place="${XDG_CACHE_HOME:-$HOME/.cache}/thenar/test-vm"
guest="$place/$suite"
mkdir -p "$guest"

# A file system with a kernel. Where packages come from is what this machine's apt is set to.
make_guest() {
    echo "making a guest of $maker $suite in $guest (once, a minute or some, 1.5 GB)"
    kernel=linux-image-cloud-amd64 browser=,chromium-headless-shell,fonts-liberation
    [ "$maker" = Debian ] || kernel=linux-image-virtual browser=
    apt-get indextargets --format 'deb $(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' "Origin: $maker" |
        sort -u | sed "s/$own/$suite/g" >"$guest/sources.list"
    tree=$(mktemp -d "${TMPDIR:-/var/tmp}/thenar-guest.XXXXXX")
    # shellcheck disable=SC2016 # $1 is the guest's tree, in the hook
    $as_root mmdebstrap --quiet --variant=apt --aptopt='APT::Install-Recommends "false"' \
        --include="systemd-sysv,dbus-user-session,libpam-systemd,udev,kmod,initramfs-tools,$kernel,apparmor,bubblewrap,python3,procps,passwd,e2fsprogs,ca-certificates,curl,less$browser" \
        --customize-hook='echo MODULES=list >"$1/etc/initramfs-tools/conf.d/small"' \
        --customize-hook='printf "virtio_pci\nvirtio_blk\next4\n" >"$1/etc/initramfs-tools/modules"' \
        --customize-hook='chroot "$1" update-initramfs -u >/dev/null' \
        --customize-hook='chroot "$1" useradd -m -s /bin/bash guest' \
        --customize-hook='chroot "$1" useradd --system --home-dir /var/lib/thenar --shell /usr/sbin/nologin thenar' \
        --customize-hook='chroot "$1" systemctl --quiet enable guest.service' \
        --setup-hook='mkdir -p "$1/etc/systemd/system" "$1/payload"' \
        --setup-hook="cp scripts/test-vm.service \"\$1/etc/systemd/system/guest.service\"" \
        --customize-hook='cd "$1/etc/apparmor.d" && find . -maxdepth 1 -type f ! -name unprivileged_userns -delete' \
        "$suite" "$tree" "$guest/sources.list"
    rm -f "$guest/root.img"
    truncate -s 6G "$guest/root.img"
    $as_root mkfs.ext4 -q -d "$tree" "$guest/root.img"
    $as_root sh -c "cp $tree/boot/vmlinuz-* '$guest/vmlinuz' && cp $tree/boot/initrd.img-* '$guest/initrd' && chmod a+r '$guest'/*"
    $as_root rm -rf "$tree"
    echo "$recipe" >"$guest/ready"
}
# Made anew where what it is made by has changed.
recipe=$(sed -n '/^make_guest()/,/^}/p' scripts/test-vm.sh | cat - scripts/test-vm.service | cksum)
[ "$(cat "$guest/ready" 2>/dev/null)" = "$recipe" ] || make_guest

echo 'building programs and tests'
cargo=${CARGO:-cargo}
"$cargo" build --locked --quiet --workspace --bins
tests=$("$cargo" test --locked --quiet --package sandbox --no-run --message-format=json | python3 -c '
import json, sys
for line in sys.stdin:
    made = json.loads(line)
    if made.get("executable") and made["profile"]["test"]:
        print(made["target"]["name"], made["executable"])')

# What goes into the guest, at the paths that the tests were built for.
load=$(mktemp -d "${TMPDIR:-/var/tmp}/thenar-load.XXXXXX")
trap 'rm -rf "$load" "$guest/load.img"' EXIT
mkdir -p "$load/tree/target/debug" "$load/tree/crates" "$load/tests"
cp -r packaging "$load/tree/"
cp -r crates/sandbox "$load/tree/crates/"
for program in thenar thenar-keeper scripted-model; do
    strip --strip-debug -o "$load/tree/target/debug/$program" "target/debug/$program"
done
echo "$tests" | while read -r name path; do strip --strip-debug -o "$load/tests/$name" "$path"; done
cp scripts/test-vm-guest.sh "$load/guest.sh"
cp scripts/test_vm_guest.py "$load/guest.py"
echo "$here" >"$load/where"
echo "${ONLY:-apparmor service doctors limits escapes others}" >"$load/only"
rm -f "$guest/load.img"
truncate -s 1G "$guest/load.img"
mkfs.ext4 -q -d "$load" "$guest/load.img"

# A device that is there may still run no guest: one is begun without a disk, and must get as far as its first words.
accel='tcg,thread=multi' cpu='max,la57=off'
runs_guests() {
    timeout 30 qemu-system-x86_64 -machine q35 -accel kvm -cpu host -m 512 -nodefaults -no-user-config -display none -no-reboot \
        -serial stdio -append 'console=ttyS0 panic=-1' -kernel "$guest/vmlinuz" </dev/null | grep -q 'Linux version'
}
if [ -w /dev/kvm ] && (runs_guests) 2>/dev/null; then
    accel=kvm cpu=host
else
    echo 'no KVM that runs guests here: the processor is emulated, which takes several times as long'
fi

said="$guest/said"
echo "running in the guest ($accel); its console is in $guest/console"
status=0
# An emulated one takes its time; what the guest writes is kept beside its disk, and gone with it.
TMPDIR="$guest" timeout 10800 qemu-system-x86_64 -machine q35 -accel "$accel" -cpu "$cpu" -smp 2 -m 3072 -nodefaults -no-user-config \
    -display none -no-reboot -kernel "$guest/vmlinuz" -initrd "$guest/initrd" -device virtio-rng-pci \
    -append 'root=/dev/vda rw console=ttyS0 panic=-1 quiet systemd.show_status=0' \
    -drive "file=$guest/root.img,if=virtio,format=raw,snapshot=on,cache=unsafe" \
    -drive "file=$guest/load.img,if=virtio,format=raw,snapshot=on,cache=unsafe" \
    -serial "file:$guest/console" -serial stdio </dev/null | stdbuf -oL tr -d '\r' | tee "$said" || status=$?
if [ "$status" = 0 ] && grep -q '^VERDICT all held$' "$said"; then exit 0; fi
grep -q '^VERDICT' "$said" || echo 'the guest ended, or was ended, before it said what held' >&2
exit 1
