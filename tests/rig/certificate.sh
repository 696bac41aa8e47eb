#!/bin/sh
# Makes a certificate for 127.0.0.1 and localhost, valid for a week: tests/rig/certificate.sh FOLDER
#
# Leaves ca.pem (for `extra_ca`), cert.pem and key.pem (for a server). The authority's key is thrown away.
set -eu
[ $# -eq 1 ] || { sed -n 2,4p "$0" >&2; exit 64; }
mkdir -p "$1"
cd "$1"
{
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj "/CN=mynah test authority" \
        -addext "basicConstraints=critical,CA:TRUE" -keyout ca.key -out ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" -keyout key.pem -out leaf.csr
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n' >leaf.ext
    openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 7 -extfile leaf.ext -out cert.pem
} >openssl.log 2>&1 || { cat openssl.log >&2; exit 1; }
rm -f ca.key ca.srl leaf.csr leaf.ext openssl.log
