# Sourced by scripts/bench: a capture beside production. What it costs the broker and a producer (`harm`), and how much memory
# it takes while its disk stalls (`stall`). Both fill the source through the tests' independent client.
# shellcheck shell=bash disable=SC2154,SC2034

# beside_capture DEJAQ DIR TOPICS [ARGUMENT]...: starts a capture and waits until it reads; sets capture_pid.
beside_capture() {
  local dejaq=$1 dir=$2 topics=$3; shift 3
  "$dejaq" capture --from "kafka://$DEJAQ_KAFKA_PROD" --topics "$topics" --out "$dir" "$@" </dev/null 2>"$work/capture.log" &
  capture_pid=$!
  local deadline=$((SECONDS + 60))
  until grep -q '^capturing' "$work/capture.log"; do
    beside_lives "$deadline" || die "the capture did not begin"
    sleep 0.05
  done
}

# beside_lives DEADLINE: whether the capture still runs and there is time; else shows what it said.
beside_lives() {
  if kill -0 "$capture_pid" 2>/dev/null && (( SECONDS < $1 )); then return 0; fi
  cat "$work/capture.log" >&2
  return 1
}

# beside_end: ends the capture properly.
beside_end() {
  local status=0
  kill -INT "$capture_pid"
  wait "$capture_pid" || status=$?
  capture_pid=
  (( status == 0 )) || { cat "$work/capture.log" >&2; die "the capture ended with exit code $status"; }
}

# beside_count DEJAQ DIR: the records that a recording holds.
beside_count() { "$1" inspect "$2" --json 2>/dev/null | sed -n 's/^  "records": \([0-9]*\),$/\1/p'; }

beside_number() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p"; }

beside_peer() { "$root/tests/peer/peer" "$1" --bootstrap "$DEJAQ_KAFKA_PROD" "${@:2}"; }

# harm_round DEJAQ TOPIC with|without: prints "broker-cpu-s p50 p99 p99.9" of one feed.
harm_round() {
  local dejaq=$1 topic=$2 how=$3 before after said broker=$state/kafka/prod/pid
  [[ $how == without ]] || beside_capture "$dejaq" "$work/rec" "$topic"
  before=$(harm_ticks "$broker")
  said=$(beside_peer feed-synthetic --topic "$topic" --count $((rate * seconds)) --bytes "$bytes" --rate "$rate")
  after=$(harm_ticks "$broker")
  if [[ $how == with ]]; then
    local deadline=$((SECONDS + 60)) all
    # As the capture's own lines write it: 200,000.
    all=$(sed -E ':a; s/([0-9])([0-9]{3})($|,)/\1,\2\3/; ta' <<<$((rate * seconds)))
    until grep -q " $all records " "$work/capture.log"; do
      (( SECONDS < deadline )) || die "the capture did not take all records"
      sleep 0.2
    done
    beside_end
    [[ $(beside_count "$dejaq" "$work/rec") == $((rate * seconds)) ]] || die "the recording has not all records"
    rm -rf "$work/rec"
  fi
  awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f ", ticks / hz }'
  echo "$(beside_number p50 <<<"$said") $(beside_number p99 <<<"$said") $(beside_number p99.9 <<<"$said")"
}

# harm_ticks PIDFILE: the CPU time of the broker's process, in ticks.
harm_ticks() {
  local pid; pid=$(proc_pid "$1") || die "the broker's CPU time can be read of our own broker only: unset DEJAQ_KAFKA_PROD"
  # After the command's name, which is in brackets, the 12th and 13th field are user and system time.
  sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'
}

# harm DEJAQ: rounds without and with a capture in turn, and the median of each.
harm() {
  local dejaq=$1 topic=harm-$$ n how figures
  beside_peer create-topics --topic "$topic:4" >/dev/null
  note "load before: $(cut -d' ' -f1-3 /proc/loadavg); $rate records/s of $bytes bytes for $seconds s a round; the first pair is not counted"
  printf '%-6s %-8s %12s %10s %10s %10s\n' round capture 'broker CPU s' 'ack p50 ms' p99 p99.9
  for ((n = 0; n <= rounds; n++)); do
    for how in without with; do
      figures=$(harm_round "$dejaq" "$topic" "$how")
      (( n == 0 )) && continue
      # shellcheck disable=SC2086
      printf '%-6s %-8s %12s %10.2f %10.2f %10.2f\n' "$n" "$how" $figures
      echo "$how $figures" >>"$work/harm"
    done
  done
  for how in without with; do
    printf '%-6s %-8s' median "$how"
    for n in 2 3 4 5; do
      awk -v how="$how" -v n="$n" '$1 == how { print $n }' "$work/harm" | sort -g |
        awk -v width=$((n == 2 ? 12 : 10)) '{ v[NR] = $1 } END { printf " %" width ".2f", (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'
    done
    echo
  done
  note "load after: $(cut -d' ' -f1-3 /proc/loadavg)"
  beside_peer delete-topics --topic "$topic" >/dev/null
}

# stall DEJAQ: a capture of 1,000 partitions onto a file system of its own, which is frozen under load: a write to it waits
# then, as it does on a disk that answers no more.
stall() {
  local dejaq=$1 disk=$work/disk topic=stall-$$ feed peak records count=$((rate * (seconds + 20))) n
  local -a topics=() names=()
  for ((n = 0; n < 125; n++)); do topics+=(--topic "$topic-$n:8"); names+=(--topic "$topic-$n"); done
  truncate -s 16G "$work/image"
  mkfs.ext4 -q "$work/image"
  mkdir "$disk"
  as_root mount -o loop "$work/image" "$disk" || die "it needs root (or sudo -n) and a loop device, for a file system that can be frozen"
  mounted=$disk
  as_root chown "$(id -u)" "$disk"
  beside_peer create-topics "${topics[@]}" >/dev/null
  beside_capture "$dejaq" "$disk/rec" "^$topic-"
  beside_peer feed-synthetic "${names[@]}" --count "$count" --bytes "$bytes" --rate "$rate" >"$work/feed" &
  feed=$!
  local deadline=$((SECONDS + 60))
  until [[ $(beside_count "$dejaq" "$disk/rec") != 0 ]]; do
    (( SECONDS < deadline )) || die "nothing was recorded"
    sleep 0.2
  done
  peak=$(stall_peak)
  note "$peak MiB at most so far; the disk stalls for $seconds s"
  as_root fsfreeze -f "$disk"
  frozen=$disk
  sleep "$seconds"
  as_root fsfreeze -u "$disk"
  frozen=
  note "$(stall_peak) MiB at most when it answers again"
  wait "$feed"
  deadline=$((SECONDS + 300))
  until [[ $(beside_count "$dejaq" "$disk/rec") == "$count" ]]; do
    beside_lives "$deadline" || die "not all of $count records came"
    sleep 0.5
  done
  peak=$(stall_peak)
  beside_end
  "$dejaq" verify "$disk/rec" >&2
  records=$(beside_count "$dejaq" "$disk/rec")
  printf '%s records of %s bytes in 1,000 partitions, %s of them recorded; disk stalled for %s s; peak memory %s MiB of 192 MiB\n' \
    "$count" "$bytes" "$records" "$seconds" "$peak"
  beside_peer delete-topics "${names[@]}" >/dev/null
  (( records == count && peak <= 192 ))
}

# stall_peak: the most memory that the capture has had resident, in MiB.
stall_peak() { awk '/^VmHWM:/ { printf "%.0f\n", $2 / 1024 }' "/proc/$capture_pid/status"; }
