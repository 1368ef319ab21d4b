#!/usr/bin/env bash
# Sets up, starts and stops Atelier on this machine. `./quick_start.sh --help` says how.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

case "${ATELIER_HOST:-}" in
    "" | localhost | 0.0.0.0 | ::) HOST=127.0.0.1 ;; # where this script itself finds the service
    *) HOST="$ATELIER_HOST" ;;
esac
PORT="${ATELIER_PORT:-5001}"
UI_PORT="${ATELIER_UI_PORT:-7860}"
LOGS="${ATELIER_LOGS_FOLDER:-logs}"
RUN="${ATELIER_DATA_FOLDER:-data}/run" # who was started from here: NAME.pid, and NAME.ready once it was
READY_TIMEOUT_S="${ATELIER_READY_TIMEOUT_S:-180}"
STOP_TIMEOUT_S=40                      # the service's own drain takes at most 25 s by default
case "$HOST" in *:*) OWN_URL="http://[$HOST]:$PORT" ;; *) OWN_URL="http://$HOST:$PORT" ;; esac

usage() {
    cat <<'TEXT'
Usage: ./quick_start.sh [COMMAND]

  (nothing)          install what is missing, start the image service and the page, stay until Ctrl-C
  generate "PROMPT"  make one picture; starts the service if it is not running and ends what it started.
                     Takes all options of `python -m app generate` (see generate --help)
  stop               end what an earlier ./quick_start.sh left running
  doctor             what this machine is, whether the service is up, who holds its ports
  test [ARGUMENTS]   install the test tools, then ruff, mypy, vulture and pytest (which gets the arguments)
  --help             this text

ATELIER_LOCKED=1 installs from the lock files, by their hashes (docs/supply-chain.md).
Settings are environment variables: docs/settings.md. The service's log is logs/image_service.log.
TEXT
}

say() { printf '%s\n' "$*" >&2; }
fail() { say "Error: $*"; exit 1; }

# ---------------------------------------------------------------- environments

# pip and httpx cannot use a SOCKS proxy without further packages, and fail when they only see one in the
# environment. http_proxy and https_proxy are kept: they serve every download.
drop_socks_proxies() {
    local name
    for name in all_proxy ALL_PROXY http_proxy https_proxy HTTP_PROXY HTTPS_PROXY; do
        case "${!name:-}" in
            socks*)
                unset "$name"
                [ -n "${http_proxy:-}${https_proxy:-}${HTTP_PROXY:-}${HTTPS_PROXY:-}" ] ||
                    say "Note: $name is a SOCKS proxy, which downloads cannot use. Set https_proxy to an HTTP proxy."
                ;;
        esac
    done
    export no_proxy="127.0.0.1,localhost,::1${no_proxy:+,$no_proxy}"
}

find_python() {
    local name
    for name in python3.11 python3.12 python3 python; do
        if fits "$name"; then
            command -v "$name"
            return
        fi
    done
    fail "Python 3.11 or 3.12 is needed and was not found. Install one (Debian: apt install python3 python3-venv;
  conda: conda create -n testbed-image python=3.12, then conda activate testbed-image) and start again."
}

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; }

# The owner's own environment for the service, if there is one: conda's `testbed-image`, or `.venv-image`.
own_service_python() {
    if [ -x .venv-image/bin/python ]; then
        echo "$PWD/.venv-image/bin/python"
        return
    fi
    local conda folder
    conda="$(command -v conda || true)"
    conda="${conda:-${CONDA_EXE:-}}"
    [ -n "$conda" ] || return 0
    folder="$("$conda" env list 2>/dev/null | awk '$1 == "testbed-image" { print $NF }')"
    if [ -n "$folder" ] && [ -x "$folder/bin/python" ]; then echo "$folder/bin/python"; fi
}

# install FILE…: .venv with these requirement files; nothing to do when it was last made from the same ones.
install() {
    local stamp wanted
    stamp=.venv/requirements.sha256
    if ! { [ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null; }; then make_venv; fi
    wanted="$(fingerprint "$@")"
    if grep -qxF "$wanted" "$stamp" 2>/dev/null; then return; fi
    say "Installing into .venv (once; a few minutes) …"
    local torch files=() file
    torch="$(grep -h '^torch==' "$@" || true)"
    for file in "$@"; do files+=(-r "$file"); done
    if [ -n "${ATELIER_LOCKED:-}" ]; then
        locked "$@"
        pip install --require-hashes "${LOCKS[@]}" >"$LOGS/install.log" 2>&1 || install_failed
        echo "$wanted" >"$stamp"
        return
    fi
    # torch first and by its plain name, so that pip takes the build that fits this machine.
    if ! { { [ -z "$torch" ] || pip install "$torch"; } && pip install "${files[@]}"; } >"$LOGS/install.log" 2>&1; then
        install_failed
    fi
    # What these files need includes what fewer of them need.
    { echo "$wanted"; subsets "$@"; } >"$stamp"
}

install_failed() {
    tail -n 15 "$LOGS/install.log" >&2
    fail "the installation failed; all of it is in $LOGS/install.log"
}

# locked FILE…: pip's arguments for the lock files of these requirement files, in LOCKS. See docs/supply-chain.md.
locked() {
    local file
    LOCKS=()
    for file in "$@"; do
        case "$ATELIER_LOCKED $file" in
            "cuda image_"*) LOCKS+=(-r requirements-cuda.lock) ;;
            *) LOCKS+=(-r "${file%.txt}.lock") ;;
        esac
    done
}

make_venv() {
    local python
    python="$(find_python)"
    rm -rf .venv
    "$python" -m venv .venv || fail "$python cannot make a virtual environment (on Debian: apt install python3-venv)."
}

pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input "$@"; }

fingerprint() { { cat "$@" && printf '%s' "${ATELIER_LOCKED:-}"; } | .venv/bin/python -c 'import hashlib, sys; print(hashlib.sha256(sys.version.encode() + sys.stdin.buffer.read()).hexdigest())'; }

subsets() {
    while [ $# -gt 1 ]; do
        set -- "${@:1:$#-1}"
        fingerprint "$@"
    done
}

setup() {
    export ATELIER_SERVICE_URL="${ATELIER_SERVICE_URL:-$OWN_URL}"
    drop_socks_proxies
    (umask 077 && mkdir -p "$LOGS" "$RUN")
    SERVICE_PYTHON="$(own_service_python)"
    if [ -n "$SERVICE_PYTHON" ] && ! fits "$SERVICE_PYTHON"; then
        say "$SERVICE_PYTHON is $("$SERVICE_PYTHON" --version 2>&1); the image service needs Python 3.11 or 3.12, so it runs in .venv
instead, and that environment is left alone. To have one of its own: conda create -n testbed-image python=3.12"
        SERVICE_PYTHON=
    fi
    if [ -z "$SERVICE_PYTHON" ]; then
        install requirements.txt image_generation_service_requirements.txt
        SERVICE_PYTHON="$PWD/.venv/bin/python"
    else
        install requirements.txt
        "$SERVICE_PYTHON" -c 'import diffusers, flask_openapi3, gunicorn' 2>/dev/null ||
            fail "$SERVICE_PYTHON lacks packages that the service needs. Run:
  $SERVICE_PYTHON -m pip install -r image_generation_service_requirements.txt"
        say "The image service uses $SERVICE_PYTHON"
    fi
}

atelier() { .venv/bin/python -m app "$@"; }

# ---------------------------------------------------------------- the service

# get PATH: the status line and body of a GET on the service's own address. Plain bash, so no proxy can be in between.
get() {
    (
        exec 3<>"/dev/tcp/$HOST/$PORT" || exit 1
        printf 'GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n' "$1" "$HOST" "$PORT" >&3
        timeout_read 5 <&3
    ) 2>/dev/null
}

timeout_read() {
    local line
    while IFS= read -r -t "$1" line || [ -n "$line" ]; do printf '%s\n' "$line"; done
}

answers() { case "$(get "$1" || true)" in "HTTP/1.1 200"*) return 0 ;; esac; return 1; }
is_atelier() { case "$(get /health || true)" in "HTTP/1.1 200"*'"status":'*'"version":'*) return 0 ;; esac; return 1; }

# keep NAME LOG COMMAND…: runs in the background and keeps that one program running; its pid is in NAME.pid. Once
# NAME.ready is there, a program that ends is started again: jobs wait for the service, people for the page, files for
# the watcher. Three ends are forgiven at once and two with a second's pause, then the pause doubles up to a minute; every
# minute that the program ran well takes one end back. SIGTERM ends both.
keep() {
    local name="$1" log="$2" child='' code failures=0 pause started stopping=''
    shift 2
    trap 'stopping=1; kill -TERM ${child:+"$child"} 2>/dev/null || true' TERM INT HUP
    while [ -z "$stopping" ]; do
        started=$SECONDS
        "$@" </dev/null >>"$log" 2>&1 &
        child=$!
        [ -z "$stopping" ] || kill -TERM "$child" # the signal came before there was a child to pass it on to
        echo "$child" >"$RUN/$name.pid"
        code=0
        wait "$child" || code=$?
        while kill -0 "$child" 2>/dev/null; do wait "$child" || code=$?; done # a signal ends `wait` early
        rm -f "$RUN/$name.pid"
        [ -z "$stopping" ] || exit 0
        [ -e "$RUN/$name.ready" ] || exit "$code"
        failures=$((failures - (SECONDS - started) / 60))
        [ "$failures" -ge 0 ] || failures=0
        failures=$((failures + 1))
        pause=0.2 # its children notice while the next one starts, and hold lock and port until then
        if [ "$failures" -gt 11 ]; then
            pause=60
        elif [ "$failures" -gt 3 ]; then
            pause=$((failures > 5 ? 1 << (failures - 5) : 1))
        fi
        say "$name ended unexpectedly (exit status $code); starting it again. Its log is $log."
        sleep "$pause" &
        child=$!
        wait "$child" || true # so that a signal is heard at once
    done
}

# A running service, started here if there is none. Of several scripts that start at once, one does it.
ensure_service() {
    local other
    if is_atelier; then return; fi
    if other="$(started_here service-keeper quick_start.sh)"; then
        say "Waiting for the image service that process $other is starting …"
        wait_ready "$other"
        return
    fi
    rm -f "$RUN/service-keeper.pid" # of a run that was killed
    if (set -C && echo $$ >"$RUN/service-keeper.pid") 2>/dev/null; then start_service; else ensure_service; fi
}

start_service() {
    say "Starting the image service …"
    check_port "$PORT" "the image service" ATELIER_PORT
    start_keeper service "$LOGS/image_service.console.log" "$SERVICE_PYTHON" image_generation_service.py
    SUPERVISOR=$KEEPER
    wait_ready "$SUPERVISOR"
    touch "$RUN/service.ready"
}

# start_keeper NAME LOG COMMAND…: `keep` in a process group of its own, so that Ctrl-C reaches this script only, which
# then ends things in order. Its pid is in KEEPER and in NAME-keeper.pid.
start_keeper() {
    rm -f "$RUN/$1.ready"
    turn_log "$2"
    set -m
    keep "$@" &
    KEEPER=$!
    set +m
    echo "$KEEPER" >"$RUN/$1-keeper.pid"
}

# turn_log FILE: a new one that its owner alone reads; the last one stays as FILE.1. Programs append to it (>>) and
# turn it over themselves at 10 MiB.
turn_log() {
    (
        umask 077
        [ ! -s "$1" ] || mv -f "$1" "$1.1"
        : >>"$1"
        chmod 600 "$1"
    )
}

# wait_ready PID: until the service that PID starts can take work; an error with the reason if it does not come up.
wait_ready() {
    local deadline=$((SECONDS + READY_TIMEOUT_S))
    until answers /ready; do
        if ! kill -0 "$1" 2>/dev/null; then
            tail -n 20 "$LOGS/image_service.console.log" >&2
            fail "the image service did not start; the lines above say why (also in $LOGS/image_service.console.log)."
        fi
        [ "$SECONDS" -lt "$deadline" ] || fail "the image service was not ready within $READY_TIMEOUT_S s:
$(tail -n 20 "$LOGS/image_service.console.log")"
        sleep 0.1
    done
}

# check_port PORT WHAT VARIABLE: an error that names whoever holds the port.
check_port() {
    local owner
    if (exec 3<>"/dev/tcp/$HOST/$1") 2>/dev/null; then
        owner="$(atelier port-owner "$1" || echo "a process of another user")"
        fail "port $1, which $2 needs, is taken by $owner
End it, or choose another port: $3=$(($1 + 1)) ./quick_start.sh"
    fi
}

# started_here NAME WORDS: the pid in NAME.pid if that process runs and is still what was started from here.
started_here() {
    local pid
    pid="$(cat "$RUN/$1.pid" 2>/dev/null || true)"
    [ -n "$pid" ] || return 1
    case "$(command_of "$pid")" in *"$2"*) echo "$pid" ;; *) return 1 ;; esac
}

command_of() {
    if [ -d /proc/self ]; then tr '\0' ' ' <"/proc/$1/cmdline"; else ps -o args= -p "$1"; fi 2>/dev/null || true
}

# end_process PID: ask, wait, insist. Only ever called with a process that was started here.
end_process() {
    local deadline=$((SECONDS + STOP_TIMEOUT_S))
    kill -TERM "$1" 2>/dev/null || return 0
    while kill -0 "$1" 2>/dev/null; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            say "Process $1 does not end; killing it."
            kill -KILL -- "-$1" 2>/dev/null || kill -KILL "$1" 2>/dev/null || true # the whole group, if it leads one
            return
        fi
        sleep 0.1
    done
}

end_all() {
    trap - EXIT
    trap '' INT TERM HUP # a second Ctrl-C must not leave half of it running
    [ -z "${UI:-}" ] || end_process "$UI"
    [ -z "${WATCHER:-}" ] || end_process "$WATCHER"
    if [ -n "${SUPERVISOR:-}" ]; then
        end_process "$SUPERVISOR"
        rm -f "$RUN/service-keeper.pid" "$RUN/service.ready"
    fi
    [ -z "${MAIN:-}" ] || rm -f "$RUN/main.pid" "$RUN"/ui*.pid "$RUN"/watcher*.pid "$RUN/ui.ready" "$RUN/watcher.ready"
}

# ---------------------------------------------------------------- commands

command_up() {
    setup
    trap end_all EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    if ! started_here main quick_start.sh >/dev/null; then
        MAIN=1
        echo $$ >"$RUN/main.pid"
    fi
    ensure_service
    [ -n "${SUPERVISOR:-}" ] || say "An image service is running already at $ATELIER_SERVICE_URL; using it."
    start_page
    if [ -n "${ATELIER_DROP_FOLDER:-}" ]; then start_watcher; fi
    [ -n "${SUPERVISOR:-}${UI:-}" ] || return 0
    say ""
    say "Atelier is ready."
    [ -z "${UI:-}" ] || say "  page     http://$HOST:$UI_PORT"
    say "  service  $ATELIER_SERVICE_URL  (API: $ATELIER_SERVICE_URL/docs)"
    [ -z "${WATCHER:-}" ] || say "  drop     $ATELIER_DROP_FOLDER (prompt files in, pictures out; log $LOGS/watch.log)"
    say "  log      $LOGS/image_service.log"
    say "Ctrl-C ends it."
    while sleep 1; do
        # What keeps a program running is killed only by hand. Page and watcher are kept by another one then; without
        # the service's there is nothing left to wait for.
        if [ -n "${SUPERVISOR:-}" ] && ! kill -0 "$SUPERVISOR" 2>/dev/null; then
            SUPERVISOR=
            fail "the image service ended; see $LOGS/image_service.log"
        fi
        if ! kill -0 "$UI" 2>/dev/null; then
            end_left_over ui "-m app"
            keep_page && touch "$RUN/ui.ready"
        fi
        if [ -n "${WATCHER:-}" ] && ! kill -0 "$WATCHER" 2>/dev/null; then
            end_left_over watcher "app watch"
            start_watcher
        fi
    done
}

# end_left_over NAME WORDS: the program whose keeper was killed, so that its port and files are free.
end_left_over() {
    local pid
    if pid="$(started_here "$1" "$2")"; then end_process "$pid"; fi
}

start_watcher() {
    [ -d "$ATELIER_DROP_FOLDER" ] || fail "ATELIER_DROP_FOLDER=$ATELIER_DROP_FOLDER is not a folder."
    start_keeper watcher "$LOGS/watch.log" .venv/bin/python -m app watch "$ATELIER_DROP_FOLDER"
    WATCHER=$KEEPER
    touch "$RUN/watcher.ready"
}

keep_page() {
    start_keeper ui "$LOGS/ui.log" .venv/bin/python -m app ui
    UI=$KEEPER
}

start_page() {
    local deadline=$((SECONDS + READY_TIMEOUT_S))
    check_port "$UI_PORT" "the page" ATELIER_UI_PORT
    keep_page
    until (exec 3<>"/dev/tcp/$HOST/$UI_PORT") 2>/dev/null; do
        if ! kill -0 "$UI" 2>/dev/null; then
            tail -n 20 "$LOGS/ui.log" >&2
            UI=
            fail "the page did not start; the lines above say why (also in $LOGS/ui.log)."
        fi
        [ "$SECONDS" -lt "$deadline" ] || fail "the page was not ready within $READY_TIMEOUT_S s; see $LOGS/ui.log"
        sleep 0.1
    done
    touch "$RUN/ui.ready"
}

command_generate() {
    setup
    case " $* " in *" --help "* | *" --url "* | *" --url="*) atelier generate "$@"; exit ;; esac
    # A service elsewhere is its owner's to start.
    if [ "$ATELIER_SERVICE_URL" = "$OWN_URL" ]; then
        trap end_all EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM HUP
        touch "$RUN/user.$$"
        ensure_service
    fi
    trap : INT # the command line cancels the job itself; then this script ends what it started
    local code=0
    atelier generate "$@" || code=$?
    rm -f "$RUN/user.$$"
    if [ -n "${SUPERVISOR:-}" ]; then
        while others_use_it; do sleep 0.2; done
    fi
    exit "$code"
}

# True while another `generate` still uses the service that this one started.
others_use_it() {
    local file
    for file in "$RUN"/user.*; do
        if kill -0 "${file##*.}" 2>/dev/null; then return 0; fi
        rm -f "$file"
    done
    return 1
}

command_stop() {
    local pid found=
    # The script first, which ends all it started; then what a killed one left, and whatever keeps a program before it.
    for process in main:quick_start.sh ui-keeper:quick_start.sh watcher-keeper:quick_start.sh \
        service-keeper:quick_start.sh "ui:-m app" "watcher:app watch" service:image_generation_service.py; do
        if pid="$(started_here "${process%%:*}" "${process#*:}")"; then
            say "Ending ${process%%:*} (process $pid) …"
            end_process "$pid"
            found=1
        fi
        rm -f "$RUN/${process%%:*}.pid" "$RUN/${process%%:*}.ready"
    done
    [ -n "$found" ] || say "Nothing that was started from this folder is running."
}

command_test() {
    drop_socks_proxies
    (umask 077 && mkdir -p "$LOGS" "$RUN")
    install requirements.txt image_generation_service_requirements.txt requirements-dev.txt
    if [ -x .venv/bin/shellcheck ]; then .venv/bin/shellcheck quick_start.sh .ci/run; fi
    .venv/bin/python -m ruff check .
    .venv/bin/python -m ruff format --check .
    .venv/bin/python -m mypy
    .venv/bin/python -m vulture
    .venv/bin/python -m pytest "$@"
}

case "${1:-}" in
    "") command_up ;;
    generate) shift && command_generate "$@" ;;
    stop) command_stop ;;
    doctor) shift && setup && atelier doctor "$@" ;;
    test) shift && command_test "$@" ;;
    -h | --help | help) usage ;;
    *) usage >&2; fail "there is no command '$1'." ;;
esac
