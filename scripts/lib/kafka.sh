# Sourced by scripts/brokers: two Kafka clusters of one node each (KRaft, broker and controller in one process).
# shellcheck shell=bash disable=SC2154

kafka_pom=$scripts/brokers.d/pom.xml
kafka_nodes=(prod staging)
# Beside the plain listener; by these names a node's `env` variables, port files and settings are called.
kafka_listeners=(sasl tls expired wrong_host)

kafka_user_var() { local name=DEJAQ_KAFKA_${1^^}; printf '%s' "${!name:-}"; }
# kafka_address NODE: empty as long as it has no port.
kafka_address() {
  [[ ! -s $state/kafka/$1/broker.port ]] || printf '127.0.0.1:%s' "$(<"$state/kafka/$1/broker.port")"
}

kafka_foreign() { is_foreign "$(kafka_user_var "$1")" "$(kafka_address "$1")"; }

kafka_jars() { printf '%s/jars/%s' "$state" "$(sha256sum "$kafka_pom" | cut -c1-16)"; }

# Resolves the jars once per pom; the folder gets its name only when it is complete.
kafka_resolve() {
  local jars; jars=$(kafka_jars)
  [[ -d $jars ]] && return 0
  note "resolving Kafka's jars with Maven (once; about 60 MB)"
  mkdir -p "$state/jars"
  local partial=$jars.partial log=$state/maven.log
  rm -rf "$partial"
  if ! mvn -B -ntp -f "$kafka_pom" dependency:copy-dependencies "-DoutputDirectory=$partial" -DincludeScope=runtime \
      </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "Maven could not resolve the jars (see above, and ${log#"$root"/}); is a Maven repository in reach?"
  fi
  mv "$partial" "$jars"
}

kafka_configure() {
  local node=$1 dir=$state/kafka/$1 port controller listener listeners='' protocols=''
  mkdir -p "$dir"
  if [[ ! -s $dir/cluster.id ]]; then
    # As Kafka writes a Uuid: 16 random bytes in URL-safe base64, not starting with a dash.
    local id=-
    while [[ $id == -* ]]; do id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '='); done
    printf '%s\n' "$id" >"$dir/cluster.id"
  fi
  port=$(remembered_port "$dir/broker.port")
  controller=$(remembered_port "$dir/controller.port")
  for listener in "${kafka_listeners[@]}"; do
    listeners+=,${listener^^}://127.0.0.1:$(remembered_port "$dir/$listener.port")
    protocols+=,${listener^^}:SSL
  done
  protocols=${protocols/SASL:SSL/SASL:SASL_SSL}
  # Staging does not offer all of them: a client must be told what it does.
  local mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,OAUTHBEARER
  [[ $node != prod ]] || mechanisms+=,PLAIN
  cat >"$dir/server.properties" <<CONFIG
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller$listeners
advertised.listeners=PLAINTEXT://127.0.0.1:$port$listeners
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT$protocols
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/data
# A misspelt topic must be an error, as in production.
auto.create.topics.enable=false
# One node: internal topics cannot have more replicas.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A consumer group of a test starts at once.
group.initial.rebalance.delay.ms=0
# Who comes without a name (the plain listener, and TLS without a certificate) may do all; a user only what ACLs allow.
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location=$certificates/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location=$certificates/ca.pem
listener.name.tls.ssl.client.auth=requested
listener.name.expired.ssl.keystore.location=$certificates/expired.pem
listener.name.wrong_host.ssl.keystore.location=$certificates/wrong-host.pem
sasl.enabled.mechanisms=$mechanisms
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_plain="plain-secret";
# Unsecured tokens: a broker believes what they say. The tokens' own lifetime is enforced on open connections, too.
listener.name.sasl.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
listener.name.sasl.oauthbearer.connections.max.reauth.ms=3600000
# One thread is enough for each of the listeners beside the plain one.
$(printf 'listener.name.%s.num.network.threads=1\n' "${kafka_listeners[@]}")
CONFIG
}

kafka_java() {
  local node=$1 heap=$2; shift 2
  printf '%s\0' java "-Xmx$heap" -Xms256m -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -Djava.awt.headless=true \
    "-Dlog4j2.configurationFile=$scripts/brokers.d/log4j2.properties" "-Ddejaq.node=$root/$node" -cp "$(kafka_jars)/*" "$@"
}

kafka_format() {
  local node=$1 dir=$state/kafka/$1
  local -a java
  [[ -s $dir/data/meta.properties ]] && return 0
  mapfile -d '' java < <(kafka_java "$node" 256m kafka.tools.StorageTool format \
    --cluster-id "$(<"$dir/cluster.id")" --config "$dir/server.properties")
  if ! "${java[@]}" </dev/null >"$dir/format.log" 2>&1; then
    note "error: kafka $node: StorageTool could not format $dir/data. The end of ${dir#"$root"/}/format.log:"
    tail -n 20 "$dir/format.log" | sed 's/^/  | /' >&2
    return 1
  fi
}

# kafka_answers NODE: asks for metadata (request 3, version 5, no topics) and looks for our broker and cluster id in the
# answer. Spoken by hand, since starting a JVM for each try would take longer than the broker's own start.
kafka_answers() {
  local dir=$state/kafka/$1 answer
  answer=$(
    exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$(<"$dir/broker.port")" || exit 1
    # length 15 | key 3 | version 5 | correlation 7 | no client id | no topics | no auto-creation
    printf '\0\0\0\017\0\003\0\005\0\0\0\007\377\377\0\0\0\0\0' >&3
    # One broker without a rack and no topics make 69 bytes.
    timeout 2 head -c 69 <&3 | tr -d '\0'
  ) || return 1
  [[ $answer == *127.0.0.1* && $answer == *"$(<"$dir/cluster.id")"* ]]
}

kafka_up() {
  local node failed=0
  local -a own=()
  local -A launching=()
  need_java
  kafka_resolve
  certificates_make
  for node in "${kafka_nodes[@]}"; do
    if kafka_foreign "$node"; then
      note "kafka $node: yours, $(kafka_user_var "$node") (DEJAQ_KAFKA_${node^^} is set)"
    elif proc_pid "$state/kafka/$node/pid" >/dev/null; then
      own+=("$node")
    else
      kafka_configure "$node"
      own+=("$node")
      # Both nodes format and start side by side.
      kafka_launch "$node" &
      launching[$node]=$!
    fi
  done
  for node in "${own[@]}"; do
    local dir=$state/kafka/$node
    if [[ -n ${launching[$node]:-} ]] && ! wait "${launching[$node]}"; then
      failed=1
    elif wait_ready 60 "$dir/pid" "$dir/log" "kafka $node" kafka_answers "$node"; then
      note "kafka $node: up at $(kafka_address "$node"), cluster id $(<"$dir/cluster.id"), pid $(proc_pid "$dir/pid")"
    else
      failed=1
    fi
  done
  return "$failed"
}

kafka_launch() {
  local node=$1 dir=$state/kafka/$1
  local -a java
  kafka_format "$node" || return 1
  : >"$dir/log"
  mapfile -d '' java < <(kafka_java "$node" 768m kafka.Kafka "$dir/server.properties")
  proc_launch "$dir/pid" "$dir/log" "${java[@]}"
}

kafka_down() { proc_stop 20 "$state"/kafka/{prod,staging}/pid; }
# The ports stay remembered, so that a client's configuration keeps working; data and cluster ids go.
kafka_wipe() { rm -rf "$state"/kafka/{prod,staging}/{data,cluster.id,log,format.log}; }

kafka_status() {
  local node pid down=0
  for node in "${kafka_nodes[@]}"; do
    if kafka_foreign "$node"; then
      echo "kafka $node: yours, $(kafka_user_var "$node")"
    elif ! pid=$(proc_pid "$state/kafka/$node/pid"); then
      echo "kafka $node: down"; down=1
    elif kafka_answers "$node"; then
      echo "kafka $node: up at $(kafka_address "$node"), cluster id $(<"$state/kafka/$node/cluster.id"), pid $pid"
    else
      echo "kafka $node: pid $pid runs but does not answer at $(kafka_address "$node")"; down=1
    fi
  done
  return "$down"
}

# kafka_env: the variables of clusters that are there; fails when one is not. A cluster of the user's own has the listeners
# beside the plain one that the user names; one that was started by an earlier version of this has none.
kafka_env() {
  local node listener name port ours=0
  for node in "${kafka_nodes[@]}"; do
    if kafka_foreign "$node"; then
      env_line "DEJAQ_KAFKA_${node^^}" "$(kafka_user_var "$node")"
      for listener in "${kafka_listeners[@]}"; do
        name=DEJAQ_KAFKA_${node^^}_${listener^^}
        [[ -z ${!name:-} ]] || env_line "$name" "${!name}"
      done
    elif proc_pid "$state/kafka/$node/pid" >/dev/null; then
      ours=1
      env_own "DEJAQ_KAFKA_${node^^}" "$(kafka_address "$node")"
      for listener in "${kafka_listeners[@]}"; do
        port=$state/kafka/$node/$listener.port
        [[ ! -s $port ]] || env_own "DEJAQ_KAFKA_${node^^}_${listener^^}" "127.0.0.1:$(<"$port")"
      done
    else
      note "kafka $node is not up; run: scripts/brokers up kafka"
      return 1
    fi
  done
  if (( ours )); then
    env_own DEJAQ_KAFKA_CERTIFICATES "$certificates"
  elif [[ -n ${DEJAQ_KAFKA_CERTIFICATES:-} ]]; then
    env_line DEJAQ_KAFKA_CERTIFICATES "$DEJAQ_KAFKA_CERTIFICATES"
  fi
  [[ ! -d $(kafka_jars) ]] || env_line DEJAQ_KAFKA_CLASSPATH "$(kafka_jars)/*"
}
