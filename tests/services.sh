#!/usr/bin/env bash
#
# The real services of the tests: PostgreSQL, PgBouncer before it, and moto as the KMS of AWS.
#
#   tests/services.sh COMMAND...                       runs the command with the services; they end with it
#   source tests/services.sh && start_services         for a shell of yours; stop_services, or the shell's end, stops them
#
# A process of its own, the keeper, starts the services as its children, waits until the
# caller asks to stop them or ends, stops them by pid and removes their folder. So nothing is left behind however a script
# ends, and no trap of the caller's shell is changed. If the keeper itself is killed, the kernel ends its children (`setpriv --pdeathsig`).
#
# Exports BYOKD_TEST_POSTGRES, BYOKD_TEST_POSTGRES_ADMIN, BYOKD_TEST_POSTGRES_CA, BYOKD_TEST_POSTGRES_BIN,
# BYOKD_TEST_POSTGRES_USER, BYOKD_TEST_POSTGRES_TEMPLATE, BYOKD_TEST_PGBOUNCER, BYOKD_TEST_MOTO; CONTRIBUTING.md
# describes each. AWS's own variables get made-up credentials, so that no real ones are used.
#
# Not here: a service that two runs share. Each run has its own, on its own ports.

BYOKD_SERVICES_SCRIPT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/services.sh

start_services() {
    local exports python=${BYOKD_TEST_PYTHON:-}
    if [[ -n ${BYOKD_SERVICES_FOLDER:-} && -d $BYOKD_SERVICES_FOLDER ]]; then return 0; fi
    if [[ -z $python || ! -x $python ]]; then
        exports=$("$(dirname "$BYOKD_SERVICES_SCRIPT")/tools.sh" services) || return 1
        eval "$exports"
        python=$BYOKD_TEST_PYTHON
    fi
    # The keeper prints what to export, once all is ready, and closes its output: this waits for that alone.
    # In another session, so that Ctrl-C ends the tests first and the services afterwards.
    exports=$(BYOKD_TEST_PYTHON=$python setsid bash -euo pipefail "$BYOKD_SERVICES_SCRIPT" --keep "$$" </dev/null &)
    if [[ -z $exports ]]; then
        printf 'tests/services.sh: the services did not start\n' >&2
        return 1
    fi
    eval "$exports"
}

stop_services() {
    local folder=${BYOKD_SERVICES_FOLDER:-} end=$((SECONDS + 60))
    if [[ -z $folder || ! -d $folder ]]; then return 0; fi
    kill -TERM "$BYOKD_SERVICES_KEEPER" 2>/dev/null || true
    # Its folder is the last thing that the keeper removes.
    while [[ -d $folder ]] && kill -0 "$BYOKD_SERVICES_KEEPER" 2>/dev/null && ((SECONDS < end)); do sleep 0.05; done
    unset BYOKD_SERVICES_FOLDER BYOKD_SERVICES_KEEPER
    unset "${!BYOKD_TEST_POSTGRES@}" BYOKD_TEST_PGBOUNCER BYOKD_TEST_MOTO
}

# ---- the keeper: everything below runs in its process

fail() {
    printf 'tests/services.sh: %s\n' "$*" >&2
    exit 1
}

# Below the range from which the kernel takes ports for outgoing connections.
free_port() {
    "$BYOKD_TEST_PYTHON" - <<'PYTHON'
import random, socket
while True:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port := random.randrange(20000, 32000)))
        except OSError:
            continue
    print(port)
    break
PYTHON
}

random_password() { od -An -N 16 -t x1 /dev/urandom | tr -d ' \n'; }

# as_user SIGNAL COMMAND...: PostgreSQL and PgBouncer refuse to run as root. The kernel sends the signal if
# this process is killed. It ends in `exec`, so that the pid of the background job is the service's own.
as_user() {
    local -a become=()
    local signal=$1
    shift
    if [[ -n $user ]]; then become=("--reuid=$user" "--regid=$user" --init-groups); fi
    exec setpriv "${become[@]}" --pdeathsig "$signal" "$@"
}

# launch NAME: NAME_run becomes the service on $port, NAME_ready checks whether it answers. If another
# process took the port in between, it tries again.
launch() {
    local name=$1 try pid end=$((SECONDS + 120))
    for try in 1 2 3 4 5; do
        port=$(free_port)
        "${name}_run" >>"$folder/$name.log" 2>&1 &
        pid=$!
        names[$pid]=$name
        while kill -0 "$pid" 2>/dev/null && ((SECONDS < end)); do
            if "${name}_ready" "$pid" >/dev/null 2>&1 && kill -0 "$pid" 2>/dev/null; then return 0; fi
            sleep 0.05
        done
        kill -KILL "$pid" 2>/dev/null || true
        unset "names[$pid]"
        if ((SECONDS >= end)); then break; fi
    done
    tail -n 20 "$folder/$name.log" >&2
    fail "$name did not start ($try tries)"
}

# A data folder with the settings, the certificate and the users in it. The shared server runs on a copy; a test that
# needs a server of its own makes another copy.
make_template() {
    (umask 077 && printf '%s' "$password" >"$folder/password")
    "$BYOKD_TEST_PYTHON" "$(dirname "$BYOKD_SERVICES_SCRIPT")/services/certificate.py" "$folder"
    if [[ -n $user ]]; then chown -R "$user" "$folder"; fi
    # The language's order is not the bytes' order: code that relies on the latter fails here, as on a customer's server.
    # Segments of 1 MB: a data folder is copied for each server.
    (as_user TERM "$bin/initdb" -D "$template" -U postgres --pwfile="$folder/password" --auth-local=trust \
        --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US \
        --wal-segsize=1 --no-sync --no-instructions) >>"$folder/initdb.log" 2>&1 ||
        { cat "$folder/initdb.log" >&2 && fail "initdb failed"; }
    # `synchronous_commit` stays on: acknowledged changes must survive a crash of the server. They need not
    # survive a crash of the machine, hence no fsync. No autovacuum: it would visit hundreds of tiny databases.
    cat >>"$template/postgresql.conf" <<'CONF'
listen_addresses = '127.0.0.1'
max_connections = 400
superuser_reserved_connections = 10
shared_buffers = 16MB
huge_pages = off
fsync = off
full_page_writes = off
max_wal_size = 1GB
autovacuum = off
jit = off
max_parallel_workers_per_gather = 0
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
password_encryption = 'scram-sha-256'
log_min_messages = warning
CONF
    cat >"$template/pg_hba.conf" <<'CONF'
local   all all trust
hostssl all all 127.0.0.1/32 scram-sha-256
CONF
    mv "$folder/server.crt" "$folder/server.key" "$template"
    # One command a line; the password is in no argument and in no environment.
    (as_user TERM "$bin/postgres" --single -D "$template" postgres) >>"$folder/initdb.log" 2>&1 <<SQL ||
CREATE ROLE byokd LOGIN CREATEDB PASSWORD '$password';
CREATE DATABASE byokd OWNER byokd;
SQL
        { cat "$folder/initdb.log" >&2 && fail "the users of PostgreSQL could not be made"; }
    cp -a "$template" "$folder/data"
}

# The socket's folder is private, so that no other user connects by `trust`.
postgres_run() { as_user INT "$bin/postgres" -D "$folder/data" -p "$port" -k "$folder"; }
# PostgreSQL's own status, of this process and not of another on that port.
postgres_ready() {
    [[ $(head -n 1 "$folder/data/postmaster.pid") == "$1" && $(sed -n 8p "$folder/data/postmaster.pid") == ready* ]]
}

# Few connections to PostgreSQL, so that clients really share them. sqlx asks for `extra_float_digits`,
# which PgBouncer would refuse; nothing else is ignored. PgBouncer forwards prepared statements since 1.21: never here.
pgbouncer_run() {
    local program version
    program=$(command -v pgbouncer || echo /usr/sbin/pgbouncer)
    version=$("$program" --version | sed -n 's/^PgBouncer //p')
    cat >"$folder/pgbouncer.ini" <<INI
[databases]
* = host=127.0.0.1 port=$postgres_port
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $folder/userlist.txt
pool_mode = transaction
default_pool_size = 4
max_client_conn = 1000
server_tls_sslmode = require
server_idle_timeout = 10
ignore_startup_parameters = extra_float_digits
INI
    if [[ $(printf '%s\n' 1.21 "$version" | sort -V | head -n 1) == 1.21 ]]; then
        printf 'max_prepared_statements = 0\n' >>"$folder/pgbouncer.ini"
    fi
    (umask 077 && printf '"byokd" "%s"\n"postgres" "%s"\n' "$password" "$password" >"$folder/userlist.txt")
    if [[ -n $user ]]; then chown "$user" "$folder/pgbouncer.ini" "$folder/userlist.txt"; fi
    as_user TERM "$program" -q "$folder/pgbouncer.ini"
}
pgbouncer_ready() {
    PGPASSWORD=$password "$bin/psql" -h 127.0.0.1 -p "$port" -U byokd -d byokd -X -c "SELECT 1"
}

moto_run() {
    # shellcheck disable=SC2030
    local user=""
    as_user TERM "$(dirname "$BYOKD_TEST_PYTHON")/moto_server" -H 127.0.0.1 -p "$port"
}
moto_ready() {
    "$BYOKD_TEST_PYTHON" -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5).read()' \
        "http://127.0.0.1:$port/moto-api/data.json"
}

# The data are discarded, so PostgreSQL need not write them: SIGQUIT.
stop_all() {
    local pid
    trap '' INT TERM HUP
    for pid in "${!names[@]}"; do
        if [[ ${names[$pid]} == postgres ]]; then kill -QUIT "$pid"; else kill -TERM "$pid"; fi 2>/dev/null || true
    done
    for pid in "${!names[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$folder"
}

keep() { # PID OF THE CALLER
    # Not local: the functions above and the trap at the end use them.
    caller=$1 user="" port="" ended=""
    declare -gA names=()
    folder=$(mktemp -d "${TMPDIR:-/tmp}/byokd-services.XXXXXX")
    trap stop_all EXIT
    trap 'exit 0' INT TERM HUP
    template=$folder/template
    # shellcheck disable=SC2012
    bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    if ((EUID == 0)); then user=postgres; fi
    password=$(random_password)

    make_template
    launch postgres && postgres_port=$port
    local pgbouncer_port moto_port
    launch pgbouncer && pgbouncer_port=$port
    launch moto && moto_port=$port

    # The caller's own two are not exported: a shell within has its own services.
    printf '%s=%q\n' BYOKD_SERVICES_FOLDER "$folder" BYOKD_SERVICES_KEEPER "$$"
    printf 'export %s=%q\n' \
        BYOKD_TEST_POSTGRES "postgres://byokd:$password@127.0.0.1:$postgres_port" \
        BYOKD_TEST_POSTGRES_ADMIN "postgres://postgres:$password@127.0.0.1:$postgres_port" \
        BYOKD_TEST_POSTGRES_CA "$folder/ca.crt" \
        BYOKD_TEST_POSTGRES_BIN "$bin" \
        BYOKD_TEST_POSTGRES_USER "$user" \
        BYOKD_TEST_POSTGRES_TEMPLATE "$template" \
        BYOKD_TEST_PGBOUNCER "postgres://byokd:$password@127.0.0.1:$pgbouncer_port" \
        BYOKD_TEST_MOTO "http://127.0.0.1:$moto_port" \
        AWS_ACCESS_KEY_ID "AKIDSYNTHETIC" \
        AWS_SECRET_ACCESS_KEY "SECRET-OF-THE-TESTS" \
        AWS_EC2_METADATA_DISABLED "true"
    exec >/dev/null

    tail --sleep-interval=0.2 --pid="$caller" -f /dev/null &
    names[$!]=caller
    wait -n -p ended "${!names[@]}" || true
    if [[ ${names[$ended]} != caller ]]; then
        tail -n 20 "$folder/${names[$ended]}.log" >&2
        printf 'tests/services.sh: %s ended by itself, so the others end too\n' "${names[$ended]}" >&2
    fi
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    set -euo pipefail
    case "${1:-}" in
        --keep) keep "$2" ;;
        "" | -*)
            printf 'Usage: tests/services.sh COMMAND...   (or: source tests/services.sh && start_services)\n' >&2
            exit 1
            ;;
        *)
            start_services
            # The command takes this process's place: its signals and its exit code are its own, and the keeper, which
            # waits for this pid, sees its end.
            exec "$@"
            ;;
    esac
fi
