#!/bin/sh
# What scripts/test-vm.sh runs in its guest, as root of it, on the way of systemd's start. One line for each thing that was
# tried, what a failed one said, and a verdict. Nothing here is to be run on a machine that is to be kept.
# Where a disk is: /tmp may be memory, which knows nothing of what some probes try.
export TMPDIR=/var/tmp NO_COLOR=1 LANG=C.UTF-8 HOME=/root
here=$(cat /payload/where)
out=/var/tmp/tried
failed=0

# What was tried, then the command; its output is told only if it failed.
try() {
    what=$1
    shift
    if "$@" >"$out" 2>&1; then
        echo "ok      $what"
    else
        echo "FAILED  $what"
        tail -n 40 "$out" | sed 's/^/        | /'
        failed=$((failed + 1))
    fi
}

says() { # file, words: a line of it has them
    grep -q -- "$2" "$1" || { cat "$1"; echo "nowhere: $2"; return 1; }
}

as_user() { su guest -c "cd && XDG_RUNTIME_DIR=/run/user/$(id -u guest) NO_COLOR=1 $1"; }
delegated="systemd-run -q --user --scope -p Delegate=yes --"

mkdir -p "$here"
mount --bind /payload/tree "$here"
[ "${here#/root/}" = "$here" ] || chmod o+x /root
install -m 755 "$here/target/debug/thenar" "$here/target/debug/thenar-keeper" /usr/local/bin/
loginctl enable-linger guest
echo "kernel $(uname -r), $(systemctl --version | head -n 1), $(. /etc/os-release && echo "$PRETTY_NAME")"
echo "controllers: $(cat /sys/fs/cgroup/cgroup.controllers); AppArmor: $(cat /sys/module/apparmor/parameters/enabled 2>&1)"

# Whether only programs with a profile may make user namespaces, as on Ubuntu.
apparmor() {
    restricts=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
    profile="$here/packaging/apparmor/thenar-keeper"
    if [ ! -e /etc/apparmor.d/abi/4.0 ]; then
        echo 'not tried: this AppArmor is older than profiles for user namespaces'
        return
    fi
    try 'the packaged profile is read by this parser' apparmor_parser --skip-kernel-load --skip-cache "$profile"
    if [ "$(cat "$restricts" 2>/dev/null)" != 1 ]; then
        echo 'not tried: this kernel has no rule against user namespaces of unprivileged users'
        return
    fi
    as_user 'thenar doctor' >/run/refused 2>&1
    try 'the doctor names the rule of AppArmor' says /run/refused 'AppArmor lets only programs that it has a profile for'
    # What it prints to paste; there is no sudo here, and no need of it.
    sed -n 's/^ *fix: \(.*apparmor_parser.*\)$/\1/p' /run/refused | head -n 1 | sed 's/sudo //g' >/run/fix
    try 'its fix can be pasted' sh -e -c '[ -s /run/fix ] && . /run/fix'
    try 'then the user has computers' as_user 'thenar doctor'
    # shellcheck disable=SC2016 # expanded in the guest's own shell
    try 'and other programs still have no namespaces' as_user '! unshare -Urm true'
    install -m 644 "$profile" /etc/apparmor.d/
    try 'the packaged profile loads in its place' apparmor_parser -r /etc/apparmor.d/thenar-keeper
}

doctors() {
    as_user 'thenar doctor' >/run/plain 2>&1
    try 'a user has computers' says /run/plain 'computer .*a command ran in a fresh one'
    try 'without delegation the doctor says who may not make groups' says /run/plain 'this account may not make control groups'
    try 'and how they come' says /run/plain 'fix: systemd-run --user --scope -p Delegate=yes'
    as_user "$delegated thenar doctor" >/run/delegated 2>&1
    try 'with it, a user has all limits by groups (v2)' says /run/delegated 'memory, processes, processor by control groups (v2)$'
    systemd-run -q --scope -p Delegate=yes thenar doctor >/run/root 2>&1
    try 'and root, too' says /run/root 'memory, processes, processor by control groups (v2)$'
}

service() {
    systemctl disable -q --now thenar 2>/dev/null
    install -m 644 "$here"/packaging/systemd/thenar*.service /etc/systemd/system/
    # The same locks around the doctor: what the server cannot do there, this cannot.
    sed 's|^ExecStart=.*|ExecStart=/usr/local/bin/thenar doctor|; s/^Restart=.*/Type=oneshot/' \
        "$here/packaging/systemd/thenar.service" >/run/systemd/system/thenar-doctor.service
    systemctl daemon-reload
    systemctl start thenar-doctor
    journalctl -u thenar-doctor -o cat --no-pager >/run/doctor
    try 'in the service computers are made' says /run/doctor 'computer .*a command ran in a fresh one'
    try 'in the service all limits hold by groups (v2)' says /run/doctor 'memory, processes, processor by control groups (v2)$'
    try 'in the service allowed hosts are reached, others not' says /run/doctor 'a host that was allowed was reached from inside'
    [ ! -x /usr/bin/chromium-headless-shell ] ||
        try 'in the service a browser starts' says /run/doctor 'browser .*started in its box'
    try 'a task of the service, its computer kept over a restart' kept_over_a_restart
}

# A scripted model has a command wait for a file of the host's making; in between the server is restarted.
kept_over_a_restart() {
    set -e
    "$here/target/debug/scripted-model" --addr 127.0.0.1:7272 --steps 1 \
        --command 'until [ -e go ]; do sleep 0.2; done; echo went on' >/dev/null &
    mkdir -p /etc/thenar
    printf 'OPENAI_BASE_URL=http://127.0.0.1:7272/v1\nOPENAI_API_KEY=none\nTHENAR_MODEL=openai:script\n' >/etc/thenar/environment
    systemctl start thenar
    python3 /payload/guest.py /var/lib/thenar
}

# Whose tests, and what they are called; then how to run them.
tests() {
    who=$1 program=$2
    shift 2
    case $who in
    root) try "tests $program $*, root in its own scope" systemd-run -q --scope -p Delegate=yes timeout 1800 "/payload/tests/$program" --test-threads=2 "$@" ;;
    user) try "tests $program $*, a user in one" as_user "$delegated timeout 1800 /payload/tests/$program --test-threads=2 $*" ;;
    alone) try "tests $program $*, a user without" as_user "timeout 1800 /payload/tests/$program --test-threads=2 $*" ;;
    esac
    grep "^test result" "$out" | sed 's/^/        /'
}

limits() {
    tests user it limits:: life::
    tests root it limits:: driver::
    tests alone it limits::refused limits::memory
}

escapes() {
    tests user escape probes:: ways:: exhaust::
    tests root escape probes:: outside::
}

others() {
    tests user it egress:: terminal:: browser:: exec::
    tests user checkpoint
}

for part in $(cat /payload/only); do "$part"; done
if [ "$failed" = 0 ]; then echo 'VERDICT all held'; else echo "VERDICT $failed did not hold"; fi
sync
