# Sourced by scripts/brokers: a certificate authority of the checkout's own and what it issues, good and bad, for the
# brokers' TLS listeners and for the tests that must see a bad certificate refused. Made once, into .brokers/certificates.
# shellcheck shell=bash disable=SC2154

certificates=$state/certificates

# certificates_make: ca.pem and other-ca.pem (authorities); broker.pem (good), expired.pem, wrong-host.pem (a broker's key
# and certificate, issued by ca.pem); client.pem (a client's, of the user CN=certified).
certificates_make() {
  [[ ! -d $certificates ]] || return 0
  need_command openssl openssl
  # The folder gets its name only when it is complete.
  local dir=$certificates.partial local_host='DNS:localhost,IP:127.0.0.1'
  rm -rf "$dir"
  mkdir -p "$dir"
  if ! {
    authority "$dir/ca" 'dejaq test authority' &&
      authority "$dir/other-ca" 'another test authority' &&
      issue "$dir" broker localhost "subjectAltName=$local_host" 3650 &&
      # -1 is openssl's own way to make one that was never valid for long enough.
      issue "$dir" expired localhost "subjectAltName=$local_host" -1 &&
      issue "$dir" wrong-host elsewhere.example 'subjectAltName=DNS:elsewhere.example' 3650 &&
      issue "$dir" client certified 'extendedKeyUsage=clientAuth' 3650
  } >"$state/certificates.log" 2>&1; then
    tail -n 20 "$state/certificates.log" >&2
    die "openssl could not make the brokers' certificates (see above)"
  fi
  mv "$dir" "$certificates"
}

# authority FILE NAME: makes FILE.key and FILE.pem.
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" -days 3650 \
    -subj "/CN=$2" -addext keyUsage=critical,keyCertSign,cRLSign
}

# issue DIR NAME SUBJECT EXTENSION DAYS: makes NAME.pem, key and certificate in one file, signed by DIR/ca.
issue() {
  local dir=$1 file=$1/$2
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$file.key" -out "$file.csr" -subj "/CN=$3" &&
    openssl x509 -req -in "$file.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days "$5" \
      -extfile <(printf '%s\n' "$4") -out "$file.crt" &&
    cat "$file.key" "$file.crt" >"$file.pem" &&
    rm "$file.key" "$file.csr" "$file.crt"
}
