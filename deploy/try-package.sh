#!/bin/sh
# Installs a Debian package of postrider in a fresh Debian 12 of its own and sees it work there: the demo
# loses nothing; under systemd the unit for all roles starts, takes an event, goes on after an upgrade and
# stops; the units for single roles say what they lack, and with a database and a queue all three run,
# the way /etc/postrider/postrider.toml tells; removed and purged, the data are left.
#
#   deploy/try-package.sh PACKAGE.deb   needs root, debootstrap and systemd-nspawn (systemd-container)
#
#   POSTRIDER_DEBIAN_MIRROR=URL         where Debian comes from; debootstrap's own, unless given
#   POSTRIDER_DEBIAN_TREE=DIR           keeps the bare tree there for the next time
#   POSTRIDER_TRY_DATABASE_URL=URL      an empty database, and a RabbitMQ, for the units of single roles; the
#   POSTRIDER_TRY_AMQP_URL=URL          container has this machine's network. Without, that part is left out
set -eu

give_up() {
    echo "try-package.sh: $*" >&2
    exit 1
}
[ $# = 1 ] && [ -f "$1" ] || give_up "usage: deploy/try-package.sh PACKAGE.deb"
[ "$(id -u)" = 0 ] || give_up "only root can make a Debian tree"
for tool in debootstrap systemd-nspawn; do
    command -v $tool >/dev/null || give_up "$tool is missing: apt-get install debootstrap systemd-container"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bare=${POSTRIDER_DEBIAN_TREE:-$work/bare}
tree=$work/tree

if [ ! -e "$bare/etc/debian_version" ]; then
    echo "a bare Debian tree, which takes some minutes"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,adduser,ca-certificates \
        bookworm "$bare" ${POSTRIDER_DEBIAN_MIRROR:+"$POSTRIDER_DEBIAN_MIRROR"} >"$work/log" 2>&1 ||
        { tail -n 5 "$work/log" >&2; give_up "debootstrap failed"; }
fi
cp -a "$bare" "$tree"
cp "$1" "$tree/root/postrider.deb"

# machine SECONDS WORDS...: a container on the tree that is gone by then.
machine() {
    most=$1
    shift
    timeout --kill-after=10 "$most" systemd-nspawn --quiet --directory="$tree" --register=no --keep-unit "$@"
}

echo "installing"
machine 120 dpkg --install /root/postrider.deb >"$work/log" 2>&1 ||
    { tail -n 5 "$work/log" >&2; give_up "it can't be installed"; }
machine 30 --user=nobody postrider --version 2>/dev/null || give_up "it does not run"

echo "the demo"
demo=$(machine 60 --user=nobody postrider demo --json 2>/dev/null | tail -n 1)
echo "$demo"
case $demo in
*'"lost":0'*) ;;
*) give_up "the demo lost something, or did not end" ;;
esac

# What is tried under systemd, by a unit that is started when the machine is up and ends it.
cat >"$tree/etc/systemd/system/try.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /root/try
StandardOutput=file:/root/tried
StandardError=inherit
ExecStopPost=/bin/systemctl poweroff --no-block
UNIT
mkdir -p "$tree/etc/systemd/system/multi-user.target.wants"
ln -s ../try.service "$tree/etc/systemd/system/multi-user.target.wants/try.service"
cat >"$tree/root/try" <<'TRY'
fail() {
    echo "FAILED: $*"
    journalctl --no-pager --lines 20 --unit 'postrider*'
    exit 1
}
# ready PORT: a readiness probe says yes.
ready() {
    local line
    for _ in $(seq 100); do
        if exec 3<>"/dev/tcp/127.0.0.1/$1"; then
            printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
            read -r line <&3
            exec 3>&-
            case $line in *" 200 "*) return 0 ;; esac
        fi 2>/dev/null
        sleep 0.2
    done
    return 1
}
event='{"event_name":"contract_requiring_verification_published","consumer":{"name":"C"},"provider":{"name":"P"}}'
pid() { systemctl show --property MainPID --value postrider.service; }

systemctl start postrider.service || fail "the unit does not start"
ready 9394 || fail "postrider.service is not ready"
[ "$(stat -c %U "/proc/$(pid)")" = postrider ] || fail "it does not run as its own user"
echo "$event" | postrider events publish || fail "an event is not taken"
echo "started, ready, took an event"

before=$(pid)
dpkg --install /root/postrider.deb >/dev/null || fail "no upgrade"
ready 9394 || fail "not ready after an upgrade"
[ "$(pid)" != "$before" ] || fail "the old program still runs"
[ "$(postrider events list -o name | wc -l)" = 1 ] || fail "the event is gone"
echo "upgraded, and the event is still there"

systemctl stop postrider.service || fail "it does not stop"
[ "$(systemctl show --property Result --value postrider.service)" = success ] || fail "it did not stop well"
for role in ingest worker monitor; do
    systemctl start postrider-$role.service
    for _ in $(seq 50); do
        [ "$(systemctl is-active postrider-$role.service)" = failed ] && break
        sleep 0.2
    done
    journalctl --no-pager --unit postrider-$role.service | grep -q POSTRIDER_DATABASE_URL ||
        fail "postrider-$role.service does not say that it needs a database"
done
echo "stopped; single roles name what they lack"

if [ -s /root/services ]; then
    . /root/services
    secret() { install -o root -g postrider -m 0640 /dev/stdin "/etc/postrider/$1"; }
    printf %s "$DATABASE_URL" | secret database-url
    printf %s "$AMQP_URL" | secret amqp-url
    printf %s "$MASTER_KEY" | secret master-key
    sed -i -E 's/^# ((database_url|amqp_url|master_key)_file = )/\1/' /etc/postrider/postrider.toml
    for role in ingest worker monitor; do
        systemctl reset-failed "postrider*"
        systemctl start postrider-$role.service || fail "postrider-$role.service does not start"
    done
    for port in 9394 9395 9396; do
        ready $port || fail "nobody is ready on port $port"
    done
    echo "$event" | postrider events publish || fail "the roles take no event"
    [ "$(postrider events list -o name | wc -l)" = 1 ] || fail "the database has another event"
    for role in ingest worker monitor; do
        systemctl stop postrider-$role.service || fail "postrider-$role.service does not stop"
        [ "$(systemctl show --property Result --value postrider-$role.service)" = success ] ||
            fail "postrider-$role.service did not stop well"
    done
    echo "migrated; ingest, worker and monitor ran with a database and a queue, and took an event"
fi

dpkg --purge postrider || fail "it can't be removed"
[ -f /var/lib/postrider/master.key ] || fail "the key is gone"
echo "purged, and the data are left"
echo "ALL WELL"
TRY

if [ -n "${POSTRIDER_TRY_DATABASE_URL:-}" ] && [ -n "${POSTRIDER_TRY_AMQP_URL:-}" ]; then
    (
        umask 077
        printf "%s='%s'\n" DATABASE_URL "$POSTRIDER_TRY_DATABASE_URL" AMQP_URL "$POSTRIDER_TRY_AMQP_URL" \
            MASTER_KEY "$(head -c 32 /dev/urandom | base64)" >"$tree/root/services"
    )
else
    echo "LEFT OUT: single roles with a database and a queue; none were given"
fi

echo "under systemd"
machine 300 --boot >"$work/log" 2>&1 || true
cat "$tree/root/tried" || { tail -n 20 "$work/log" >&2; give_up "systemd did not come up"; }
[ "$(tail -n 1 "$tree/root/tried")" = "ALL WELL" ] || give_up "see above"
