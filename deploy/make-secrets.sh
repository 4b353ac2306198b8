#!/bin/sh
# Makes the keys, passwords and tokens that the compose files read:
#
#   deploy/make-secrets.sh [DIR]        DIR: deploy/secrets, unless given
#
# It never overwrites: with another master key what is sealed in the database can't be read, and
# Postgres and RabbitMQ keep the passwords of their first start.
#
# Docker hands each file to its container with the owner and the mode that it has here, and the
# users inside (postrider 65532, RabbitMQ 999) are no users of this machine. So the directory is
# closed to everybody else (0700), and the files in it can be read by whoever they are mounted to.
set -eu
umask 077

dir=${1:-$(dirname "$0")/secrets}

if [ -e "$dir" ]; then
    echo "make-secrets.sh: $dir exists; it is left as it is" >&2
    echo "fix: to begin anew, delete it together with the volumes of Postgres and RabbitMQ" >&2
    exit 1
fi

# 32 bytes of randomness: as base64 what POSTRIDER_MASTER_KEY wants, in hexadecimal fit for URLs.
random_base64() { head -c 32 /dev/urandom | base64; }
random_hex() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# Made whole or not at all.
new=$dir.new.$$
trap 'rm -rf "$new"' EXIT
mkdir "$new"

postgres=$(random_hex)
rabbitmq=$(random_hex)
ingest=$(random_hex)
read=$(random_hex)
operate=$(random_hex)

random_base64 >"$new/master-key.txt"
printf '%s\n' "$postgres" >"$new/postgres-password.txt"
# Both are reached over a network that only these containers share.
printf 'postgres://postrider:%s@postgres:5432/postrider?sslmode=disable\n' "$postgres" >"$new/database-url.txt"
printf 'default_user = postrider\ndefault_pass = %s\n' "$rabbitmq" >"$new/rabbitmq.conf"
printf 'amqp://postrider:%s@rabbitmq:5672/%%2f\n' "$rabbitmq" >"$new/amqp-url.txt"
# All three are for the roles; one alone is for whoever calls them.
printf 'ingest:%s\nread:%s\noperate:%s\n' "$ingest" "$read" "$operate" >"$new/api-tokens.txt"
printf '%s\n' "$ingest" >"$new/ingest-token.txt"
printf '%s\n' "$read" >"$new/read-token.txt"
printf '%s\n' "$operate" >"$new/operate-token.txt"
chmod 0444 "$new"/*

mv "$new" "$dir"
trap - EXIT
echo "made $dir; keep a copy of master-key.txt with the backups of the database" >&2
