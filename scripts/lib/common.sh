# Sourced by scripts/*: messages, packages, ports and processes. Needs bash and Linux's /proc.
# The sourcing script sets `root` (the checkout) and `state` (its .brokers).
# shellcheck shell=bash disable=SC2154

note() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { note "error: $*"; exit 1; }

# ---- packages ---------------------------------------------------------------------------------------------------------

# as_root COMMAND...: runs it as root, without ever asking for a password.
as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

# apt_install WHY PACKAGE...: installs by apt where this user may, else says what to install.
apt_install() {
  local why=$1 log; shift
  command -v apt-get >/dev/null || die "$why; there is no apt here, so install it yourself: $*"
  [[ $(id -u) == 0 ]] || sudo -n true 2>/dev/null || die "$why; this user may not install packages. Run: sudo apt-get install $*"
  note "$why; installing $*"
  log=$(mktemp)
  # An index that cannot be refreshed (one broken source) does not stop an install that works with the old one.
  as_root apt-get update -qq </dev/null >"$log" 2>&1 || true
  if ! as_root env DEBIAN_FRONTEND=noninteractive ${RUNLEVEL:+RUNLEVEL="$RUNLEVEL"} \
      apt-get install -y -qq --no-install-recommends "$@" </dev/null >>"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "apt-get install $* failed (see above)"
  fi
  rm -f "$log"
}

# java_major: the major version of the JDK on the path, 0 when there is none.
java_major() {
  local line=
  if command -v java >/dev/null && command -v javac >/dev/null; then line=$(javac -version 2>&1 | grep -m1 '^javac ' || true); fi
  if [[ $line =~ ^javac\ ([0-9]+) ]]; then echo "${BASH_REMATCH[1]}"; else echo 0; fi
}

# need_java: a JDK of 17 or later and Maven, installed when they are missing and it may.
need_java() {
  local candidate
  if (( $(java_major) < 17 )); then
    for candidate in openjdk-21-jdk-headless openjdk-17-jdk-headless default-jdk-headless; do
      [[ -n $(apt-cache madison "$candidate" 2>/dev/null || true) ]] && break
    done
    apt_install "Kafka needs a JDK of 17 or later" "$candidate"
    (( $(java_major) >= 17 )) || die "the JDK on the path is still older than 17: $(command -v javac || echo none)"
  fi
  command -v mvn >/dev/null || apt_install "Maven resolves Kafka's jars" maven
}

# ---- ports ------------------------------------------------------------------------------------------------------------

# port_free PORT: nothing on this host has a socket at that local port, in any state that would stop a listener.
port_free() {
  local hex; printf -v hex ':%04X' "$1"
  # Columns: number, local address, remote address, state. 06 is TIME_WAIT, which SO_REUSEADDR passes over.
  ! awk -v p="$hex" 'FNR > 1 && substr($2, length($2) - 4) == p && $4 != "06" { found = 1 } END { exit !found }' \
    /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# remembered_port FILE: prints the port that FILE remembers when it is still free, else chooses one and remembers it.
# Below 32768 no outgoing connection takes it between now and the start of the broker.
remembered_port() {
  local file=$1 port=
  [[ -r $file ]] && port=$(<"$file")
  if [[ ! $port =~ ^[0-9]+$ ]] || ! port_free "$port"; then
    [[ -z $port ]] || note "port $port (${file#"$root"/}) is taken by another program; choosing a new one"
    while :; do
      port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
      grep -rqsx "$port" "$state" --include='*.port' || ! port_free "$port" || break
    done
    printf '%s\n' "$port" >"$file"
  fi
  printf '%s\n' "$port"
}

# ---- processes --------------------------------------------------------------------------------------------------------
# A pid file holds: pid, its start time in ticks, the boot it belongs to. All three must hold before a signal is sent, so
# that a number which the kernel has given to another program since is never touched.

proc_start_time() {
  local stat fields
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  read -ra fields <<<"${stat##*) }"
  # A zombie is dead; it only waits for a parent.
  [[ ${fields[0]} != Z ]] && echo "${fields[19]}"
}

# proc_launch PIDFILE LOG COMMAND...: starts COMMAND in a session of its own, with nothing of ours left open in it.
proc_launch() {
  local pidfile=$1 log=$2; shift 2
  (
    # Else the daemon would hold the caller's pipes and our lock open for as long as it lives.
    for fd in /proc/self/fd/*; do
      fd=${fd##*/}
      (( fd > 2 )) && eval "exec $fd>&-"
    done
    exec setsid "$@"
  ) </dev/null >>"$log" 2>&1 &
  local pid=$!
  disown "$pid"
  local started; started=$(proc_start_time "$pid" || echo 0)
  printf '%s %s %s\n' "$pid" "$started" "$(</proc/sys/kernel/random/boot_id)" >"$pidfile"
}

# proc_pid PIDFILE: prints the pid when that very process still runs; fails otherwise.
proc_pid() {
  local pid started boot
  [[ -r $1 ]] && read -r pid started boot <"$1" || return 1
  [[ $pid =~ ^[0-9]+$ && $boot == "$(</proc/sys/kernel/random/boot_id)" ]] || return 1
  [[ $(proc_start_time "$pid") == "$started" ]] && echo "$pid"
}

# proc_stop SECONDS PIDFILE...: asks all of them to end, and kills what has not after SECONDS.
proc_stop() {
  local grace=$1 pidfile pid; shift
  for pidfile in "$@"; do
    if pid=$(proc_pid "$pidfile"); then kill -TERM "$pid" 2>/dev/null || true; fi
  done
  local deadline=$((SECONDS + grace))
  for pidfile in "$@"; do
    while pid=$(proc_pid "$pidfile"); do
      if (( SECONDS >= deadline )); then
        note "pid $pid (${pidfile#"$root"/}) did not end within $grace s; killing it"
        kill -KILL "$pid" 2>/dev/null || true
        deadline=$((SECONDS + 5))
      fi
      sleep 0.05
    done
    rm -f "$pidfile"
  done
}

# wait_ready SECONDS PIDFILE LOG WHAT COMMAND...: runs COMMAND until it succeeds; fails with the log's tail when the
# process ends first or the time is over.
wait_ready() {
  local limit=$1 pidfile=$2 log=$3 what=$4 why; shift 4
  local deadline=$((SECONDS + limit))
  while :; do
    "$@" && return 0
    why=
    proc_pid "$pidfile" >/dev/null || why="ended while starting"
    (( SECONDS < deadline )) || why="did not answer within $limit s"
    if [[ -n $why ]]; then
      note "error: $what $why. The end of ${log#"$root"/}:"
      tail -n 25 "$log" | sed 's/^/  | /' >&2
      note "look at that log; 'scripts/brokers down --wipe' starts over with empty data"
      return 1
    fi
    sleep 0.1
  done
}

# ---- the build ----------------------------------------------------------------------------------------------------------

# need_command COMMAND PACKAGE
need_command() {
  command -v "$1" >/dev/null || apt_install "there is no $1" "$2"
}

# need_toolchain: cargo, and what librdkafka, OpenSSL and zstd are built with.
need_toolchain() {
  command -v cargo >/dev/null || die "there is no cargo on the path; install Rust (https://rustup.rs)"
  local tool
  for tool in cc c++ make; do need_command "$tool" build-essential; done
  need_command perl perl
}
