# Sourced by scripts/brokers: two RabbitMQ clusters of one node each, from Debian's package, run as the calling user with
# own names, ports, cookies and folders, and one epmd of their own: the host's RabbitMQ and epmd are never touched.
# shellcheck shell=bash disable=SC2154

rabbitmq_bin=/usr/lib/rabbitmq/bin
rabbitmq_nodes=(prod staging)

rabbitmq_dir() { printf '%s/rabbitmq/%s' "$state" "$1"; }
rabbitmq_port() { printf '%s' "$(<"$state/rabbitmq/$1/$2.port")"; }
rabbitmq_user_var() { local name=DEJAQ_AMQP_${1^^}; printf '%s' "${!name:-}"; }
# rabbitmq_address NODE: empty as long as it has no port.
rabbitmq_address() {
  [[ ! -s $state/rabbitmq/$1/amqp.port ]] || printf 'amqp://guest:guest@127.0.0.1:%s/%%2f' "$(rabbitmq_port "$1" amqp)"
}

rabbitmq_foreign() { is_foreign "$(rabbitmq_user_var "$1")" "$(rabbitmq_address "$1")"; }

rabbitmq_need() {
  [[ -x $rabbitmq_bin/rabbitmq-server ]] && return 0
  # At this run level Debian's package does not start its service (systemd does not ask; that is seen to below).
  RUNLEVEL=1 apt_install "there is no RabbitMQ" rabbitmq-server
  [[ -x $rabbitmq_bin/rabbitmq-server ]] || die "rabbitmq-server was installed, but there is no $rabbitmq_bin/rabbitmq-server"
  if [[ -d /run/systemd/system ]] && systemctl is-active --quiet rabbitmq-server.service; then
    note "stopping the service that the package has just started"
    as_root systemctl disable --now rabbitmq-server.service </dev/null >&2
  fi
}

rabbitmq_configure() {
  local node=$1 dir amqp tls management prometheus
  dir=$(rabbitmq_dir "$node")
  mkdir -p "$dir"
  amqp=$(remembered_port "$dir/amqp.port")
  tls=$(remembered_port "$dir/tls.port")
  management=$(remembered_port "$dir/management.port")
  prometheus=$(remembered_port "$dir/prometheus.port")
  remembered_port "$dir/dist.port" >/dev/null
  if [[ ! -s $dir/.erlang.cookie ]]; then
    (umask 077; head -c 24 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' >"$dir/.erlang.cookie")
    chmod 400 "$dir/.erlang.cookie"
  fi
  printf '[rabbitmq_management,rabbitmq_prometheus,rabbitmq_consistent_hash_exchange].\n' >"$dir/enabled_plugins"
  cat >"$dir/rabbitmq.conf" <<CONFIG
cluster_name = dejaq-$node
listeners.tcp.1 = 127.0.0.1:$amqp
listeners.ssl.1 = 127.0.0.1:$tls
ssl_options.cacertfile = $certificates/ca.pem
ssl_options.certfile = $certificates/broker.pem
ssl_options.keyfile = $certificates/broker.pem
management.tcp.ip = 127.0.0.1
management.tcp.port = $management
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = $prometheus
log.console = true
log.console.level = info
log.file = false
CONFIG
  # The environment by which the server and its tools agree on which node is meant.
  cat >"$dir/env" <<ENV
export HOME='$dir' ERL_EPMD_PORT=$(rabbitmq_port epmd epmd) ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_NODENAME=dejaq-$node@localhost RABBITMQ_CONF_ENV_FILE=/dev/null
ENV
  cat >"$dir/rabbitmqctl" <<CTL
#!/bin/sh
# rabbitmqctl for this node alone.
. '$dir/env'
exec $rabbitmq_bin/rabbitmqctl "\$@"
CTL
  chmod +x "$dir/rabbitmqctl"
}

rabbitmq_launch() {
  local node=$1 dir; dir=$(rabbitmq_dir "$node")
  : >"$dir/log"
  (
    # shellcheck source=/dev/null
    source "$dir/env"
    export RABBITMQ_DIST_PORT; RABBITMQ_DIST_PORT=$(rabbitmq_port "$node" dist)
    export RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf RABBITMQ_ADVANCED_CONFIG_FILE=$dir/none.config
    export RABBITMQ_ENABLED_PLUGINS_FILE=$dir/enabled_plugins RABBITMQ_MNESIA_BASE=$dir/data RABBITMQ_LOG_BASE=$dir/logs
    export RABBITMQ_GENERATED_CONFIG_DIR=$dir/generated
    export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
    # The script then becomes the Erlang machine instead of waiting for it, so that its pid is the broker's.
    export RUNNING_UNDER_SYSTEMD=true
    proc_launch "$dir/pid" "$dir/log" "$rabbitmq_bin/rabbitmq-server"
  )
}

# http_get PORT PATH: the answer to one request as guest, head and body.
http_get() {
  (
    exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n' "$2" >&3
    timeout 3 cat <&3
  )
}

# rabbitmq_answers NODE: AMQP greets with our cluster's name (its listener opens last), and the management API knows the node.
rabbitmq_answers() {
  local node=$1 greeting overview
  greeting=$(
    exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$(rabbitmq_port "$node" amqp)" || exit 1
    printf 'AMQP\0\0\011\001' >&3
    timeout 2 head -c 300 <&3 | tr -d '\0'
  ) || return 1
  [[ $greeting == *"dejaq-$node"* ]] || return 1
  overview=$(http_get "$(rabbitmq_port "$node" management)" /api/overview) || return 1
  [[ $overview == *"dejaq-$node@localhost"* ]]
}

rabbitmq_epmd() {
  local dir=$state/rabbitmq/epmd port
  proc_pid "$dir/pid" >/dev/null && return 0
  # A node registers when it starts: one that outlived its epmd cannot be found by its tools, so it starts anew.
  proc_stop 30 "$state"/rabbitmq/{prod,staging}/pid
  mkdir -p "$dir"
  port=$(remembered_port "$dir/epmd.port")
  proc_launch "$dir/pid" "$dir/log" epmd -port "$port" -address 127.0.0.1
}

rabbitmq_up() {
  local node failed=0
  local -a own=()
  for node in "${rabbitmq_nodes[@]}"; do
    if rabbitmq_foreign "$node"; then
      note "rabbitmq $node: yours (DEJAQ_AMQP_${node^^} is set)"
    else
      own+=("$node")
    fi
  done
  (( ${#own[@]} )) || return 0
  rabbitmq_need
  certificates_make
  rabbitmq_epmd
  for node in "${own[@]}"; do
    proc_pid "$(rabbitmq_dir "$node")/pid" >/dev/null && continue
    rabbitmq_configure "$node"
    rabbitmq_launch "$node"
  done
  for node in "${own[@]}"; do
    local dir; dir=$(rabbitmq_dir "$node")
    if wait_ready 90 "$dir/pid" "$dir/log" "rabbitmq $node" rabbitmq_answers "$node"; then
      note "rabbitmq $node: up at 127.0.0.1:$(rabbitmq_port "$node" amqp), pid $(proc_pid "$dir/pid")"
    else
      failed=1
    fi
  done
  return "$failed"
}

rabbitmq_down() {
  proc_stop 30 "$state"/rabbitmq/{prod,staging}/pid
  proc_stop 5 "$state/rabbitmq/epmd/pid"
}
# The ports stay remembered; data and with it the cluster's id go.
rabbitmq_wipe() { rm -rf "$state"/rabbitmq/{prod,staging}/{data,logs,generated,log,.erlang.cookie}; }

rabbitmq_status() {
  local node pid down=0
  for node in "${rabbitmq_nodes[@]}"; do
    if rabbitmq_foreign "$node"; then
      echo "rabbitmq $node: yours (DEJAQ_AMQP_${node^^} is set)"
    elif ! pid=$(proc_pid "$(rabbitmq_dir "$node")/pid"); then
      echo "rabbitmq $node: down"; down=1
    elif rabbitmq_answers "$node"; then
      echo "rabbitmq $node: up at 127.0.0.1:$(rabbitmq_port "$node" amqp), pid $pid"
    else
      echo "rabbitmq $node: pid $pid runs but does not answer at 127.0.0.1:$(rabbitmq_port "$node" amqp)"; down=1
    fi
  done
  return "$down"
}

# rabbitmq_env: the variables of clusters that are there; fails when one is not.
rabbitmq_env() {
  local node upper name ours=0
  for node in "${rabbitmq_nodes[@]}"; do
    upper=${node^^}
    if rabbitmq_foreign "$node"; then
      env_line "DEJAQ_AMQP_$upper" "$(rabbitmq_user_var "$node")"
      for name in "DEJAQ_AMQP_${upper}_TLS" "DEJAQ_AMQP_${upper}_MANAGEMENT" "DEJAQ_AMQP_${upper}_PROMETHEUS" "DEJAQ_RABBITMQCTL_$upper"; do
        [[ -z ${!name:-} ]] || env_line "$name" "${!name}"
      done
    elif proc_pid "$(rabbitmq_dir "$node")/pid" >/dev/null; then
      ours=1
      env_own "DEJAQ_AMQP_$upper" "$(rabbitmq_address "$node")"
      # A node that was started by an earlier version of this has none.
      [[ ! -s $(rabbitmq_dir "$node")/tls.port ]] ||
        env_line "DEJAQ_AMQP_${upper}_TLS" "amqps://guest:guest@127.0.0.1:$(rabbitmq_port "$node" tls)/%2f"
      env_line "DEJAQ_AMQP_${upper}_MANAGEMENT" "http://guest:guest@127.0.0.1:$(rabbitmq_port "$node" management)"
      env_line "DEJAQ_AMQP_${upper}_PROMETHEUS" "http://127.0.0.1:$(rabbitmq_port "$node" prometheus)"
      env_line "DEJAQ_RABBITMQCTL_$upper" "$(rabbitmq_dir "$node")/rabbitmqctl"
    else
      note "rabbitmq $node is not up; run: scripts/brokers up rabbitmq"
      return 1
    fi
  done
  if (( ours )); then
    env_line DEJAQ_AMQP_CERTIFICATES "$certificates"
  elif [[ -n ${DEJAQ_AMQP_CERTIFICATES:-} ]]; then
    env_line DEJAQ_AMQP_CERTIFICATES "$DEJAQ_AMQP_CERTIFICATES"
  fi
}
